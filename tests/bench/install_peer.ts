/**
 * Fetches node-llama-cpp with its prebuilt llama.cpp into a cache folder outside the repository:
 * the benchmark needs it, the product does not.
 */
import { join } from "node:path";

/** The version that results are compared by. */
export const PEER_VERSION = "3.22.1";

/** The folder for what the benchmark downloads or makes. */
export function benchCacheFolder(): string {
  const home = Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE") ?? ".";
  return join(Deno.env.get("XDG_CACHE_HOME") ?? join(home, ".cache"), "ganglion-bench");
}

/**
 * Installs the peer with npm, unless it is there.
 * @returns the folder whose node_modules holds it.
 * @throws when npm is missing or fails.
 */
export async function installPeer(): Promise<string> {
  const folder = join(benchCacheFolder(), `node-llama-cpp-${PEER_VERSION}`);
  const manifest = join(folder, "node_modules", "node-llama-cpp", "package.json");
  if (await exists(manifest)) return folder;
  console.error(`Installing node-llama-cpp ${PEER_VERSION} into ${folder}`);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "package.json"), "{}\n");
  const { success, stderr } = await new Deno.Command(
    Deno.build.os === "windows" ? "npm.cmd" : "npm",
    {
      // Its optional packages are builds for every platform and GPU (700 MB); one is enough.
      args: [
        ...["install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"],
        `node-llama-cpp@${PEER_VERSION}`,
        `@node-llama-cpp/${prebuiltPlatform()}@${PEER_VERSION}`,
      ],
      cwd: folder,
    },
  ).output();
  if (!success) {
    throw new Error(`Cannot install node-llama-cpp: ${new TextDecoder().decode(stderr).trim()}`);
  }
  return folder;
}

/** node-llama-cpp's name of this machine's CPU build. */
function prebuiltPlatform(): string {
  const { os, arch } = Deno.build;
  const cpu = arch === "aarch64" ? "arm64" : "x64";
  if (os === "darwin") return cpu === "arm64" ? "mac-arm64-metal" : "mac-x64";
  return `${os === "windows" ? "win" : "linux"}-${cpu}`;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}
