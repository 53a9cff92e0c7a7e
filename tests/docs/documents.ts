/** README and guides as data: their fenced blocks of shell commands, and their links. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's folder. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Why a block is not run by the tests. */
export const REASONS: Readonly<Record<string, string>> = {
  docker: "needs a Docker daemon",
  install: "changes the machine",
  long: "tests/packaging runs it",
  minutes: "takes minutes",
  models: "needs models that are not here",
  network: "needs more of the network than npm's registry",
  peers: "needs other engines",
  port: "needs a port that may be taken",
  queue: "needs a NATS server of one's own",
  tests: "is what runs this",
};

/** A fenced block that begins with ```sh. */
export interface ShellBlock {
  readonly text: string;
  readonly line: number;
  /** Its last command is a server, which goes on for the rest of the document. */
  readonly isServer: boolean;
  /** In the repository's folder; else in a folder with a model.gguf. */
  readonly atRoot: boolean;
  /** A key of `REASONS`; null: it is run. */
  readonly skip: string | null;
}

/** README.md and all guides, relative to the root. */
export function listDocuments(): string[] {
  const guides = [...Deno.readDirSync(join(ROOT, "docs"))]
    .map(({ name }) => name).filter((name) => name.endsWith(".md")).sort();
  return ["README.md", ...guides.map((name) => `docs/${name}`)];
}

/** ARCHITECTURE.md, CONTRIBUTING.md and what is told in more depth, relative to the root. */
export function listInternals(): string[] {
  const parts = [...Deno.readDirSync(join(ROOT, "docs/architecture"))].map(({ name }) => name);
  return [
    ...["ARCHITECTURE.md", "CONTRIBUTING.md"],
    ...parts.sort().map((name) => `docs/architecture/${name}`),
  ];
}

/** Shell blocks of a document's text. */
export function shellBlocks(text: string): ShellBlock[] {
  return [...text.matchAll(/^```sh\b(.*)\n([^]*?)^```$/gm)].map((match) => {
    const words = match[1].trim().split(/\s+/).filter((word) => word !== "");
    const skip = words.find((word) => word.startsWith("skip="))?.slice("skip=".length) ?? null;
    const unknown = words.filter((word) => !/^(server|root|skip=.*)$/.test(word));
    if (unknown.length > 0) throw new Error(`Cannot read a block's words: ${unknown}`);
    return {
      text: match[2],
      line: text.slice(0, match.index).split("\n").length,
      isServer: words.includes("server"),
      atRoot: words.includes("root"),
      skip,
    };
  });
}

/** Targets of links to files, without what is behind `#`. */
export function fileLinks(text: string): string[] {
  return [...text.replaceAll(/^```[^]*?^```$/gm, "").matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target.replace(/#.*/, ""))
    .filter((target) => target !== "" && !/^[a-z]+:/.test(target));
}
