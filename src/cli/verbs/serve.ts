/** `serve [MODEL…]`: the chat page and the API, until it is interrupted. */
import type { Command } from "commander";
import { addFillOptions } from "../fill_options.ts";
import {
  addDraftOption,
  addLoadOptions,
  addProjectorOption,
  addTemplateOptions,
  type LoadFlags,
} from "../load.ts";
import { addServerOptions, type ServerFlags } from "../serve/serve_options.ts";
import { createVerb } from "../verb.ts";

export function serveVerb(): Command {
  const verb = createVerb("serve", "Serve the chat page at / and the OpenAI API at /v1.")
    .argument(
      "[models...]",
      "the model files to serve, the default one first; left out: $GANGLION_MODEL, the folder's, " +
        "or the built-in one",
    )
    .action(serveModels);
  const served = addTemplateOptions(addServerOptions(verb));
  return addProjectorOption(addDraftOption(addFillOptions(addLoadOptions(served))));
}

/** The server is a hundred modules, which other verbs do without. */
async function serveModels(
  paths: readonly string[],
  options: LoadFlags & ServerFlags,
): Promise<void> {
  const { serveModels } = await import("../serve/serve_models.ts");
  await serveModels(paths, options);
}
