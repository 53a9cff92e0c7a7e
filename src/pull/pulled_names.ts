/**
 * Which of the pulled models a name means: clients ask for a model by what they pulled it by, in
 * one of the ways to write that. Pure.
 */
import { chooseStem } from "./hub.ts";

/** A pulled model's name in the store, and where it came from, as `sourceOf` writes it. */
export interface KnownSource {
  readonly id: string;
  readonly source: string;
}

const NAME =
  /^(?:hf:|(?:https:\/\/)?(?:hf\.co|huggingface\.co)\/)?((?:[\w.-]+\/)?[\w.-]+)(?::([^:]+))?$/i;

/**
 * The model that was pulled as `text`: its source as it is kept, or `hf.co/user/repo:QUANT`,
 * `user/repo:QUANT`, `repo:QUANT`. Without a quantisation, or with Ollama's "latest", it is what
 * was pulled without one, or the only one of its repository.
 * @returns null when there is none, or several that it could be.
 */
export function pulledAs(text: string, models: readonly KnownSource[]): string | null {
  const wanted = text.toLowerCase();
  const same = models.find(({ source }) => source.toLowerCase() === wanted);
  if (same !== undefined) return same.id;
  const match = NAME.exec(wanted);
  if (match === null) return null;
  const [, repo, tag] = match;
  const choice = tag === "latest" ? undefined : tag;
  const ofRepo = models.map(readSource).filter((each) =>
    each.repo === repo || each.repo.endsWith(`/${repo}`)
  );
  // Two users may have repositories of one name.
  if (new Set(ofRepo.map((each) => each.repo)).size !== 1) return null;
  const asked = ofRepo.filter((each) => each.choice === choice);
  if (asked.length > 0) return asked[0].id;
  if (choice !== undefined) return chooseStem(ofRepo.map(({ id }) => id), choice);
  return ofRepo.length === 1 ? ofRepo[0].id : null;
}

/** What is no repository of the hub has no name but its address. */
function readSource({ id, source }: KnownSource) {
  const [, repo = "", choice] = /^hf:([^:]+)(?::(.*))?$/.exec(source.toLowerCase()) ?? [];
  return { id, repo, choice: choice as string | undefined };
}
