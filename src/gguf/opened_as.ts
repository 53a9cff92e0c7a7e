/** Files that are opened beside a model (adapters, projectors, drafts): errors name which one. */
import { ModelFormatError } from "../base/errors.ts";

/**
 * What `open` opens; where it cannot, the error calls the file `what` ("adapter"), for whoever
 * gave two files looks for the wrong one else.
 */
export function openedAs<T>(what: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof ModelFormatError) {
      error.message = error.message.replace(
        /^(Cannot (?:open|read)) the model:/,
        `$1 the ${what}:`,
      );
    }
    throw error;
  }
}
