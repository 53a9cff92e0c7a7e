/** A hub with one repository, "user/repo". */
import type { Answer, Ask } from "./faulty_server.ts";
import { honest } from "./pull_support.ts";
import { sha256 } from "./sha256.ts";

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** Answers as the hub of these files; `how` is how it sends them. */
export function hub(
  files: Readonly<Record<string, Uint8Array>>,
  how: Pick<Answer, "pace"> = {},
): (ask: Ask) => Answer {
  return ({ path }) => {
    if (path === "/api/models/user/repo/revision/main?blobs=true") {
      const siblings = Object.entries(files).map(([rfilename, body]) => ({
        rfilename,
        size: body.length,
        lfs: { sha256: sha256(body), size: body.length, pointerSize: 100 },
      }));
      const list = JSON.stringify({ sha: COMMIT, siblings, id: "user/repo" });
      return { body: new TextEncoder().encode(list) };
    }
    const body = files[decodeURIComponent(path.replace(`/user/repo/resolve/${COMMIT}/`, ""))];
    return body === undefined ? { status: 404 } : { ...honest(body), ...how };
  };
}
