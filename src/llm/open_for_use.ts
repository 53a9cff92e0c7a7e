/**
 * Opens a model's file as it is to be used: with its adapters and control vectors, and with another
 * chat template.
 */
import { basename } from "node:path";
import {
  applyAdapters,
  attachAdapters,
  openAdapter,
  openControlVector,
  steerModel,
  type UsedAdapter,
  type UsedControlVector,
} from "../adapter/mod.ts";
import { brief, UnsupportedModelError } from "../base/errors.ts";
import { type ModelFile, openModelFile } from "../bundle/mod.ts";
import { createChatTemplate } from "../chat/mod.ts";
import type { AdapterChoice } from "./engine_options.ts";
import type { LoadOptions } from "./load_options.ts";

type UseOptions = Pick<
  LoadOptions,
  | ("adapters" | "adapterType" | "namedAdapters" | "chatTemplate" | "onNotice")
  | ("controlVectors" | "controlVectorLayers")
>;

/**
 * The model at `path`, changed by the adapters and control vectors of the options, and by their
 * template.
 * @throws {RangeError} when a scale is no finite number, or the template is empty, or no Jinja.
 * @throws {ModelFormatError} when a file is damaged or not what it is given as.
 * @throws {UnsupportedModelError} when an adapter does not fit, or the model cannot have any.
 */
export function openForUse(path: string, options: UseOptions = {}): ModelFile {
  const model = steered(openAdapted(path, options), options);
  const { chatTemplate: template } = options;
  if (template === undefined) return model;
  const source = { template, bosText: "", eosText: "", specialTexts: [] };
  // Of an empty one the model would be taken for one that was never taught to chat.
  const fault = template.trim() === "" ? "it is empty" : createChatTemplate(source).fault;
  if (fault !== null) throw new RangeError(`Cannot use the chat template: ${fault}`);
  const metadata = new Map([...model.file.metadata, ["tokenizer.chat_template", template]]);
  return { ...model, file: { ...model.file, metadata } };
}

function openAdapted(
  path: string,
  { adapters = [], adapterType, namedAdapters = [], onNotice }: UseOptions,
): ModelFile {
  const model = openModelFile(path);
  if (adapters.length + namedAdapters.length === 0) return model;
  if (model.packed !== null) {
    throw new UnsupportedModelError(
      `Cannot use adapters with the packed file "${path}": its neurons are read as they are: ` +
        "make a model with quantize --lora, and pack that",
    );
  }
  const used = adapters.map(openUsed);
  const named = namedAdapters.map(({ id, adapter }) => ({ id, ...openUsed(adapter) }));
  for (const { adapter: { file, ignored } } of [...used, ...named]) {
    if (ignored.length === 0) continue;
    const name = basename(file.parts[0].path);
    const text = `${ignored.length} norms of the adapter "${name}" are not used, such as ` +
      `${ignored[0]}: llama.cpp does not use them either`;
    onNotice?.({ kind: "warning", text });
  }
  const file = attachAdapters(applyAdapters(model.file, used, adapterType), named);
  return { file, packed: null };
}

/** Control vectors change no matrix, so a packed file may have them, too. */
function steered(
  model: ModelFile,
  { controlVectors = [], controlVectorLayers: layers, onNotice }: UseOptions,
): ModelFile {
  if (layers !== undefined) checkLayers(layers, controlVectors.length);
  const used = controlVectors.map(({ path, scale = 1 }): UsedControlVector => {
    if (Number.isFinite(scale)) return { vector: openControlVector(path), scale };
    throw new RangeError(
      `Cannot use the control vector "${path}" ${scale} times: give a finite number`,
    );
  });
  const architecture = model.file.metadata.get("general.architecture");
  for (const { vector: { hint, file, directions } } of used) {
    const name = basename(file.parts[0].path);
    const tell = (text: string) =>
      onNotice?.({ kind: "warning", text: brief(`the control vector "${name}" ${text}`) });
    if (hint !== "" && hint !== architecture) {
      tell(
        `says that it is for models of the kind ${JSON.stringify(hint)}, and this one's ` +
          `architecture is "${architecture}"`,
      );
    }
    if (layers && ![...directions.keys()].some((at) => at >= layers.first && at <= layers.last)) {
      tell(
        `has no direction for layers ${layers.first} to ${layers.last} (--control-vector-layers) ` +
          "and changes nothing",
      );
    }
  }
  return { ...model, file: steerModel(model.file, used, layers) };
}

function checkLayers({ first, last }: { first: number; last: number }, vectors: number): void {
  const isRange = Number.isInteger(first) && Number.isInteger(last) && first >= 0 && last >= first;
  if (isRange && vectors > 0) return;
  throw new RangeError(
    `Cannot steer layers ${first} to ${last}: ` +
      (isRange ? "give a control vector, too" : "give whole numbers, the first one not above"),
  );
}

function openUsed({ path, scale = 1 }: AdapterChoice): UsedAdapter {
  if (Number.isFinite(scale)) return { adapter: openAdapter(path), scale };
  throw new RangeError(`Cannot use the adapter "${path}" ${scale} times: give a finite number`);
}
