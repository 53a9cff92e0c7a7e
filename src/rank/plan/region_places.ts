/** Places of a region of the workspace, one behind the other. */
import { alignUp } from "../../base/check.ts";
import { REGION_ALIGN_BYTES } from "../../memory/row_layout.ts";

export class RegionPlaces {
  /** All of them together. */
  bytes = 0;

  /** @returns where `size` bytes begin, in bytes behind the region's beginning. */
  readonly take = (size: number): number => {
    const at = this.bytes;
    this.bytes += alignUp(size, REGION_ALIGN_BYTES);
    return at;
  };
}
