/** Tables of the experts that tokens use, which files bring along. Knows numbers only. */
import { ModelFormatError } from "../../base/errors.ts";

/**
 * There is room for as many rows of an expert as a step has tokens.
 * @throws {ModelFormatError} when a token is to use an expert that there is not, or one twice.
 */
export function checkListedExperts(
  table: Float32Array,
  tensor: string,
  { expertCount, usedCount }: { readonly expertCount: number; readonly usedCount: number },
): void {
  for (let at = 0; at < table.length; at++) {
    const expert = table[at];
    const isThere = expert >= 0 && expert < expertCount;
    if (isThere && table.indexOf(expert, at - at % usedCount) === at) continue;
    const what = isThere
      ? `as is another one of its token, ${Math.floor(at / usedCount)}`
      : `the model has ${expertCount} experts`;
    throw new ModelFormatError(
      `Cannot use tensor "${tensor}": number ${at} of it is ${expert}, ${what}: get the file ` +
        "again or convert the model again",
      { offsetBytes: 0 },
    );
  }
}
