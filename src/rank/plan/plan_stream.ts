/** What an arena has for streaming a packed model. Pure: allocates nothing. */
import { alignUp } from "../../base/check.ts";
import { SECTOR_BYTES_MAX } from "../../io/mod.ts";
import type { ArenaBuilder } from "../../memory/arena.ts";
import { SUPERBLOCK_WEIGHTS } from "../../memory/row_layout.ts";
import type { ModelConfig } from "../../model/types.ts";
import type { StreamPlan, StreamWorkspacePlan } from "./stream_types.ts";

/** Of one arena: its slots, and bytes of the largest unit as a dense block. */
export interface StreamSizes extends StreamPlan {
  readonly slotCount: number;
  readonly stageBytes: number;
}

interface StreamInput {
  /** Null unless the model is a packed one. */
  readonly stream: StreamSizes | null;
  readonly widths: { readonly neurons: number; readonly listed: number };
  readonly config: Pick<ModelConfig, "experts">;
}

/**
 * What packed models stream with is apart from what steps share: workers read into slots, stage and
 * raw while other layers are computed, lists are kept from asking to computing, and places keep
 * addresses of neurons that are silent now. Sequential reads land in whole sectors.
 */
export function planStream(
  arena: ArenaBuilder,
  { stream, widths: { neurons, listed }, config: { experts } }: StreamInput,
): StreamWorkspacePlan | null {
  if (stream === null) return null;
  const words = (name: string, count: number) => arena.allocate(name, "activations", count * 4);
  const list = (name: string) => ({
    ids: words(`${name}.ids`, listed),
    values: words(`${name}.values`, listed),
    slots: words(`${name}.slots`, listed),
  });
  const laneCount = experts === null
    ? 1
    : experts.usedCount + (experts.sharedFeedForwardLength > 0 ? 1 : 0);
  const { slotBytes, slotCount, rawBytes, stageBytes: unitBytes, stagePlaces } = stream;
  const placeBytes = alignUp(unitBytes, SECTOR_BYTES_MAX);
  const stageBytes = placeBytes * stagePlaces;
  const slots = arena.allocate("slots", "slots", slotBytes * slotCount, SECTOR_BYTES_MAX);
  const stage = arena.allocate("stage", "activations", stageBytes, SECTOR_BYTES_MAX);
  // Counted on from the slots, bundles fit into the stage, too.
  const spareFirst = slotBytes === 0 ? 0 : Math.ceil((stage - slots) / slotBytes);
  const spareEnd = slotBytes === 0 ? 0 : Math.floor((stage + stageBytes - slots) / slotBytes);
  return {
    ...{ slots, slotCount, stage, placeBytes, spareFirst },
    spareCount: Math.max(0, spareEnd - spareFirst),
    raw: arena.allocate("raw", "activations", rawBytes, SECTOR_BYTES_MAX),
    neuronCount: listed,
    columnCount: neurons,
    lanes: Array.from({ length: laneCount }, (_, lane) => list(`lane.${lane}`)),
    fired: list("fired"),
    places: words("places", alignUp(neurons, SUPERBLOCK_WEIGHTS)),
    order: words("order", listed),
  };
}
