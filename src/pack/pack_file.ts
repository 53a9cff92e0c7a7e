/**
 * Makes a packed file of a model: neuron by neuron, so that a neuron is one read. Everything that
 * is no unit's keeps its bytes. Never holds more than one unit, and goes on after a crash.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { loadKernelModule } from "../../wasm/mod.ts";
import { UsageError } from "../base/errors.ts";
import { Turns } from "../base/turns.ts";
import { MiB } from "../base/units.ts";
import { type FileLayout, layOutFile } from "../bundle/file_layout.ts";
import { type BundleAlignment, encodePage, VERSION } from "../bundle/format.ts";
import { encodeTable, type UnitOrder } from "../bundle/unit_table.ts";
import { unitShape, unitSources } from "../bundle/units.ts";
import {
  changedMetadata,
  checkOutput,
  copiedPieces,
  encodeHeader,
  fingerprint,
  type GgufTensor,
  magicOf,
  openGguf,
  TensorReader,
  type TypedGgufFile,
  type WriteOptions,
} from "../gguf/mod.ts";
import { describeModel, layerNeurons, type ModelDescription } from "../model/mod.ts";
import type { FiringStats } from "../stats/mod.ts";
import { neuronOrders } from "./neuron_order.ts";
import { type PackedUnit, UnitPacker } from "./pack_unit.ts";
import { PartFile } from "./part_file.ts";
import { partPath } from "./part_journal.ts";

/** What to make of which file. */
export interface PackOptions extends WriteOptions {
  /** Path of a model; the first part of a split one stands for all. */
  readonly input: string;
  /** Path of the new file; what is there is replaced when the new file is complete. */
  readonly out: string;
  /** How often neurons fire; null: they keep the order of the model's file. */
  readonly stats: FiringStats | null;
  readonly alignBytes: BundleAlignment;
  /** Told how much was there already when the writing goes on. */
  readonly onResume?: (doneBytes: number) => void;
}

/** What was made. */
export interface PackResult {
  /** Size of the new file. */
  readonly bytes: number;
  readonly layers: number;
  readonly units: number;
  /** Of all units. */
  readonly neurons: number;
  /** The size that most neurons have. */
  readonly bundleBytes: number;
  /** Of down projections, which stay in memory. */
  readonly factorsBytes: number;
  /** Of all tensors that are no unit's, which stay in memory, too. */
  readonly fixedBytes: number;
}

const COPY_BYTES = 4 * MiB;

/**
 * Writes the file.
 * @throws {UsageError} when `out` is the input or no file, or what an interrupted run left is of
 *   something else, or the statistics are.
 * @throws {ModelFormatError} when the input cannot be read.
 * @throws {UnsupportedModelError} when this version cannot run the model, or its down projections
 *   have a type from which single neurons cannot be read.
 * @throws {Error} "Cannot write …" when the disk is full or may not be written to.
 * @throws the signal's reason; what was written stays, and the same call goes on from there.
 */
export async function packFile(options: PackOptions): Promise<PackResult> {
  const { input, out, signal, onProgress } = options;
  const file = openGguf(input);
  checkOutput(out, file);
  checkOutput(partPath(out), file);
  const plan = planFile(file, options);
  const { layout, units } = plan;
  using reader = TensorReader.open(file);
  const part = await PartFile.open(out, plan.identity, {
    signal,
    onProgress: (bytes) => onProgress?.(bytes, layout.fileBytes),
  });
  try {
    if (part.offsetBytes > 0) options.onResume?.(part.offsetBytes);
    const writing = { part, turns: new Turns(signal), layout, onProgress };
    if (part.sections === 0) await writeFront(writing, plan, reader);
    const module = await loadKernelModule();
    const packer = new UnitPacker({ units, tensors: file.tensors, reader, module });
    for (let index = part.sections - 1; index < units.length; index++) {
      await writeUnit(writing, packer, plan, index);
    }
    await part.finish(signal);
  } finally {
    part.close();
  }
  return describe(plan);
}

/** Everything about the file but its bytes. */
interface FilePlan {
  readonly tensors: readonly GgufTensor[];
  readonly units: readonly PackedUnit[];
  readonly orders: readonly UnitOrder[];
  readonly layout: FileLayout;
  /** The first page and the GGUF header. */
  readonly front: readonly Uint8Array[];
  readonly table: Uint8Array;
  readonly layers: number;
  /** Tells the file from others that are not complete. */
  readonly identity: Readonly<Record<string, string>>;
}

function planFile(file: TypedGgufFile, { stats, alignBytes }: PackOptions): FilePlan {
  const model = describeModel(file);
  const sourceFingerprint = fingerprint(file.parts);
  if (stats !== null) requireSameModel(stats, sourceFingerprint, model);
  const units = unitSources(model).map((source): PackedUnit => {
    return { source, shape: unitShape(source, file.tensors, alignBytes) };
  });
  const shapes = units.map(({ shape }) => shape);
  const orders = neuronOrders(shapes, stats);
  const tensors = [...file.tensors.values()];
  const metadata = changedMetadata(file, []);
  const header = { magic: magicOf(file), metadata, tensors };
  const ggufBytes = encodeHeader(header, tensors.map(() => 0)).length;
  const hasRates = stats !== null;
  const layout = layOutFile({
    ...{ ggufBytes, tensors, units: shapes, hasRates },
    metadata: file.metadata,
  });
  const { dataOffsetBytes, tensorOffsets } = layout;
  const gguf = encodeHeader(header, tensorOffsets.map((offset) => offset - dataOffsetBytes));
  const table = encodeTable({
    shapes,
    places: layout.units,
    tensorIndex: new Map(tensors.map(({ name }, index) => [name, index])),
  }, orders);
  const page = encodePage({
    ...{ alignBytes, ggufBytes, hasRates, sourceFingerprint },
    fileBytes: layout.fileBytes,
    ggufSum: crc32(gguf),
    tableBytes: table.length,
    tableSum: crc32(table),
  });
  const identity = {
    "format": `${VERSION}`,
    "model": sourceFingerprint,
    "alignment of neurons": `${alignBytes}`,
    "order of neurons": createHash("sha256").update(table).digest("hex"),
  };
  const layers = model.config.blockCount;
  return { tensors, units, orders, layout, front: [page, gguf], table, layers, identity };
}

function requireSameModel(
  { subject }: FiringStats,
  sourceFingerprint: string,
  { config }: ModelDescription,
): void {
  const { modelFingerprint, layerCount, neuronCount } = subject;
  const isSame = modelFingerprint === sourceFingerprint &&
    layerCount === config.blockCount && neuronCount === layerNeurons(config);
  if (isSame) return;
  throw new UsageError(
    "Cannot order neurons by these statistics: they were measured on another model: make some " +
      "of this one with `profile MODEL --file TEXT -o STATS`",
  );
}

/** What is given to all who write. */
interface Writing {
  readonly part: PartFile;
  readonly turns: Turns;
  readonly layout: FileLayout;
  readonly onProgress: WriteOptions["onProgress"];
}

/** Headers, fixed tensors, tables: the first section. */
async function writeFront(
  writing: Writing,
  { front, table, tensors }: FilePlan,
  reader: TensorReader,
): Promise<void> {
  const { part, layout } = writing;
  for (const bytes of front) part.write(bytes);
  const buffer = new Uint8Array(COPY_BYTES);
  for (const [index, tensor] of tensors.entries()) {
    if (!layout.isFixed[index]) continue;
    part.padTo(layout.tensorOffsets[index]);
    for (const piece of copiedPieces(reader, tensor, buffer)) await writePiece(writing, piece);
  }
  part.padTo(layout.tableOffsetBytes);
  part.write(table);
  part.endSection();
}

/** A unit's factors and bundles: a section. */
async function writeUnit(
  writing: Writing,
  packer: UnitPacker,
  { units, orders }: FilePlan,
  index: number,
): Promise<void> {
  const { part, layout } = writing;
  const { factorsOffsetBytes, offsetBytes } = layout.units[index];
  const { factors, bundles } = packer.load(units[index]);
  part.padTo(factorsOffsetBytes);
  await writePiece(writing, factors);
  part.padTo(offsetBytes);
  for (const piece of bundles(orders[index].order)) await writePiece(writing, piece);
  part.endSection();
}

async function writePiece(writing: Writing, piece: Uint8Array): Promise<void> {
  const { part, turns, layout, onProgress } = writing;
  part.write(piece);
  onProgress?.(part.offsetBytes, layout.fileBytes);
  if (turns.isDue()) await turns.give();
}

function describe({ tensors, units, layout, layers }: FilePlan): PackResult {
  const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
  const bySize = new Map<number, number>();
  for (const { shape: { bundleBytes, neurons } } of units) {
    bySize.set(bundleBytes, (bySize.get(bundleBytes) ?? 0) + neurons);
  }
  const [[bundleBytes]] = [...bySize].sort((a, b) => b[1] - a[1]);
  return {
    ...{ bytes: layout.fileBytes, layers, units: units.length, bundleBytes },
    neurons: sum(units.map(({ shape }) => shape.neurons)),
    factorsBytes: sum(units.map(({ shape }) => shape.factorsSizeBytes)),
    fixedBytes: sum(tensors.map(({ sizeBytes }, i) => layout.isFixed[i] ? sizeBytes : 0)),
  };
}
