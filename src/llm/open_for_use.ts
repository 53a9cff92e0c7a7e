/** Opens a model's file as it is to be used: with its adapters, and with another chat template. */
import { basename } from "node:path";
import { applyAdapters, attachAdapters, openAdapter, type UsedAdapter } from "../adapter/mod.ts";
import { UnsupportedModelError } from "../base/errors.ts";
import { type ModelFile, openModelFile } from "../bundle/mod.ts";
import { createChatTemplate } from "../chat/mod.ts";
import type { AdapterChoice } from "./engine_options.ts";
import type { LoadOptions } from "./load_options.ts";

type UseOptions = Pick<
  LoadOptions,
  "adapters" | "adapterType" | "namedAdapters" | "chatTemplate" | "onNotice"
>;

/**
 * The model at `path`, changed by the adapters of the options, and by their template.
 * @throws {RangeError} when an adapter's scale is no finite number, or the template is empty, or no
 * Jinja.
 * @throws {ModelFormatError} when a file is damaged or not what it is given as.
 * @throws {UnsupportedModelError} when an adapter does not fit, or the model cannot have any.
 */
export function openForUse(path: string, options: UseOptions = {}): ModelFile {
  const model = openAdapted(path, options);
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

function openUsed({ path, scale = 1 }: AdapterChoice): UsedAdapter {
  if (Number.isFinite(scale)) return { adapter: openAdapter(path), scale };
  throw new RangeError(`Cannot use the adapter "${path}" ${scale} times: give a finite number`);
}
