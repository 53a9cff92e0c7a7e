/** `stop MODEL`: lets a running server's model go when its requests have ended. */
import type { Command } from "commander";
import { writeJson, writeOutLine } from "../output.ts";
import { addServerAddress, askServer, type ServerAddress } from "../running_server.ts";
import { createDataVerb } from "../verb.ts";

interface Options extends ServerAddress {
  readonly json?: boolean;
}

export function stopVerb(): Command {
  const verb = createDataVerb("stop", "Take a model out of a running server's memory.")
    .argument("<model>", "its name, as ps prints it")
    .action(stopModel);
  return addServerAddress(verb);
}

async function stopModel(model: string, options: Options): Promise<void> {
  await askServer(options, "/models/unload", { model });
  if (options.json) writeJson({ model });
  else writeOutLine(`${model} leaves memory when its requests have ended`);
}
