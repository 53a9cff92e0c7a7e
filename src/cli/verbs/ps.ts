/** `ps`: which models a running server has, and which of them are in memory. */
import type { Command } from "commander";
import { formatBytes } from "../../base/units.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { addServerAddress, askServer, type ServerAddress } from "../running_server.ts";
import { spanText, table } from "../table.ts";
import { createDataVerb } from "../verb.ts";

interface Options extends ServerAddress {
  readonly json?: boolean;
  readonly all?: boolean;
}

/** A model as `GET /models` tells of it. */
interface ModelLine {
  readonly id: string;
  readonly status: { readonly value: string; readonly error?: string };
  readonly bytes?: number;
  readonly requests?: number;
  readonly waiting?: number;
  readonly expires_at?: string | null;
}

export function psVerb(): Command {
  const verb = createDataVerb("ps", "Print which models a running server has in memory.")
    .option("--all", "print the others, too")
    .action(listModels);
  return addServerAddress(verb);
}

async function listModels(options: Options): Promise<void> {
  const { data } = await askServer(options, "/models");
  const all = data as readonly ModelLine[];
  const models = options.all ? all : all.filter(({ status }) => status.value !== "unloaded");
  if (options.json) return writeJson({ models });
  const rows = models.map((model) => [
    model.id,
    model.status.value,
    model.bytes ? formatBytes(model.bytes) : "-",
    `${model.requests ?? "-"}`,
    `${model.waiting ?? "-"}`,
    model.expires_at ? untilText(new Date(model.expires_at)) : "-",
  ]);
  writeOutLine(table([["NAME", "STATE", "MEMORY", "REQUESTS", "WAITING", "LEAVES IN"], ...rows]));
}

function untilText(date: Date): string {
  return spanText(Math.max(0, (date.getTime() - Date.now()) / 1000));
}
