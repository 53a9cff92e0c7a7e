/**
 * Which files of a repository on Hugging Face make the model that is asked for. Knows the hub's
 * answers; downloads nothing else.
 */
import { z } from "zod";
import { type HubReference, quote, splitNumber } from "./reference.ts";
import { type RetryOptions, withRetries } from "./fault.ts";
import { PullError } from "./pull_error.ts";
import type { Web } from "./web.ts";

/** A file as it can be fetched. */
export interface RemoteFile {
  readonly url: URL;
  /** Its path where it comes from. */
  readonly path: string;
  /** Null: only its server knows. */
  readonly sizeBytes: number | null;
  /** Hexadecimal; null: nobody has said. */
  readonly sha256: string | null;
  /** It is what the model sees images with. */
  readonly isProjector?: boolean;
}

/** Taken in this order when nobody says. */
const USUAL = ["Q4_K_M", "Q4_K_S", "Q4_0", "Q5_K_M", "Q8_0"];
/** Projectors in this order: half the bytes of F16 are read in two thirds of the time. */
const PROJECTORS = ["Q8_0", "F16", "BF16", "F32"];
/** Enough for any repository. */
const LIST_BYTES_MAX = 16 << 20;
const NAMES_MAX = 20;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const sizeBytes = z.int().min(0).max(2 ** 50);

const listSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40,64}$/),
  siblings: z.array(z.object({
    rfilename: z.string().max(4096),
    size: sizeBytes.nullish(),
    lfs: z.object({ sha256: sha256.nullish(), oid: sha256.nullish(), size: sizeBytes.nullish() })
      .nullish(),
  })).max(100_000),
});

type Sibling = z.infer<typeof listSchema>["siblings"][number];

/**
 * Asks the hub at `endpoint` for the files of a model, all parts of a split one in order, and its
 * projector behind them. They are of one commit, whatever is pushed meanwhile.
 * @throws {RequestFault} when the hub cannot be asked.
 * @throws {Error} when there is no such model, or it is not clear which.
 */
export async function listHubFiles(
  { repo, choice }: HubReference,
  { web, endpoint, ...retrying }: RetryOptions & { readonly web: Web; readonly endpoint: URL },
): Promise<readonly RemoteFile[]> {
  const base = endpoint.href.replace(/\/+$/, "");
  const url = new URL(`${base}/api/models/${repo}/revision/main?blobs=true`);
  const text = await withRetries(async () => {
    const reply = await web.get(url, { signal: retrying.signal });
    return await reply.text(LIST_BYTES_MAX);
  }, retrying);
  const { sha, siblings } = parseList(text, url);
  const files = chooseFiles(siblings, { repo, choice });
  const projector = chooseProjector(siblings, files[0].rfilename);
  const all = projector === null ? files : [...files, projector];
  return all.map(({ rfilename: path, size, lfs }) => ({
    url: new URL(
      `${base}/${repo}/resolve/${sha}/${path.split("/").map(encodeURIComponent).join("/")}`,
    ),
    path,
    sizeBytes: lfs?.size ?? size ?? null,
    sha256: lfs?.sha256 ?? lfs?.oid ?? null,
    isProjector: path === projector?.rfilename,
  }));
}

function parseList(text: string, url: URL): z.infer<typeof listSchema> {
  try {
    return listSchema.parse(JSON.parse(text));
  } catch {
    const text = `Cannot read what ${url.host} answers: it is no list of files of a repository`;
    throw new PullError(text, "failed");
  }
}

/** @throws {Error} as `listHubFiles`. */
export function chooseFiles(
  siblings: readonly Sibling[],
  { repo, choice }: Pick<HubReference, "repo" | "choice">,
): readonly Sibling[] {
  const models = Map.groupBy(
    siblings.filter(({ rfilename }) => isModel(rfilename)),
    ({ rfilename }) => splitNumber(rfilename)?.stem ?? rfilename.replace(/\.gguf$/i, ""),
  );
  if (models.size === 0) {
    throw new PullError(
      `Cannot pull hf:${repo}: it has no .gguf file: look for one of the same name ` +
        "that ends in -GGUF",
      "not_found",
    );
  }
  const stem = chooseStem([...models.keys()], choice);
  if (stem === null) {
    const names = [...models.keys()].sort().slice(0, NAMES_MAX).map((name) => `${name}.gguf`);
    const more = models.size > NAMES_MAX ? ", …" : "";
    throw new PullError(
      `Cannot pull hf:${repo}: it has ${
        choice === null ? "several models" : "no " + quote(choice)
      }: ` +
        `name one of ${names.join(", ")}${more}, or its quantisation`,
      choice === null ? "unclear" : "not_found",
    );
  }
  return wholeSplit(models.get(stem) ?? [], repo);
}

/** Projectors of images and matrices of importance are no models; dots may lead elsewhere. */
function isModel(path: string): boolean {
  return /\.gguf$/i.test(path) && !/(^|\/)\.{1,2}\/|imatrix/i.test(path) && !isProjector(path);
}

function isProjector(path: string): boolean {
  return /(^|[/._-])mmproj([/._-].*)?\.gguf$/i.test(path) && !/(^|\/)\.{1,2}\//.test(path);
}

/** A repository's projector, that of the model's folder first; null: there is none. */
export function chooseProjector(siblings: readonly Sibling[], model: string): Sibling | null {
  const all = siblings.filter(({ rfilename }) => isProjector(rfilename));
  const folderOf = (path: string) => path.replace(/[^/]*$/, "");
  const near = all.filter(({ rfilename }) => folderOf(rfilename) === folderOf(model));
  const some = near.length > 0 ? near : all;
  const stems = some.map(({ rfilename }) => rfilename.replace(/\.gguf$/i, ""));
  const stem = PROJECTORS.map((quant) => ofQuant(stems, quant)).find((each) => each !== null);
  return some.find(({ rfilename }) => rfilename.startsWith(`${stem}.`)) ?? some[0] ?? null;
}

/** The name, without its end, that is meant by a quantisation or a file; null: none, or several. */
export function chooseStem(stems: readonly string[], choice: string | null): string | null {
  if (choice !== null && /\.gguf$/i.test(choice)) {
    const wanted = splitNumber(choice)?.stem ?? choice.replace(/\.gguf$/i, "");
    return stems.find((stem) => stem === wanted) ??
      stems.find((stem) => stem.endsWith(`/${wanted}`)) ?? null;
  }
  if (choice !== null) return ofQuant(stems, choice);
  if (stems.length === 1) return stems[0];
  for (const quant of USUAL) {
    const stem = ofQuant(stems, quant);
    if (stem !== null) return stem;
  }
  return null;
}

/** The plainest name of a quantisation: Q4_K is not Q4_K_M, and UD-Q4_K_M comes after Q4_K_M. */
function ofQuant(stems: readonly string[], quant: string): string | null {
  const escaped = quant.replace(/[.+]/g, "\\$&");
  const pattern = new RegExp(`(^|[-._/])${escaped}($|[-./])`, "i");
  return stems.filter((stem) => pattern.test(stem))
    .sort((a, b) => a.length - b.length || (a < b ? -1 : 1))[0] ?? null;
}

function wholeSplit(files: readonly Sibling[], repo: string): readonly Sibling[] {
  const sorted = [...files].sort((a, b) => a.rfilename < b.rfilename ? -1 : 1);
  const count = splitNumber(sorted[0].rfilename)?.count ?? 1;
  const isWhole = sorted.length === count &&
    sorted.every(({ rfilename }, i) => {
      const part = splitNumber(rfilename);
      return part === null ? count === 1 : part.index === i + 1 && part.count === count;
    });
  if (isWhole) return sorted;
  throw new PullError(
    `Cannot pull hf:${repo}: of "${sorted[0].rfilename}" and its other parts some are missing`,
    "failed",
  );
}
