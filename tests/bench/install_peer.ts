/**
 * Fetches peers from npm into a cache folder outside the repository: the benchmark needs them, the
 * product does not.
 */
import { join } from "node:path";

/** The versions that results are compared by. */
export const PEER_VERSIONS = {
  "node-llama-cpp": "3.22.1",
  // Later builds on npm come without the SIMD dot kernels.
  "@wllama/wllama": "2.3.1",
} as const;

type PeerPackage = keyof typeof PEER_VERSIONS;

/** The folder for what the benchmark downloads or makes. */
export function benchCacheFolder(): string {
  const home = Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE") ?? ".";
  return join(Deno.env.get("XDG_CACHE_HOME") ?? join(home, ".cache"), "ganglion-bench");
}

/**
 * Installs a peer with npm, unless it is there.
 * @returns the folder whose node_modules holds it.
 * @throws when npm is missing or fails.
 */
export async function installPeer(name: PeerPackage): Promise<string> {
  const version = PEER_VERSIONS[name];
  const folder = join(benchCacheFolder(), `${name.replace(/.*\//, "")}-${version}`);
  if (await exists(join(folder, "node_modules", name, "package.json"))) return folder;
  console.error(`Installing ${name} ${version} into ${folder}`);
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(join(folder, "package.json"), "{}\n");
  const { success, stderr } = await new Deno.Command(
    Deno.build.os === "windows" ? "npm.cmd" : "npm",
    {
      // Optional packages are builds for every platform and GPU (700 MB); one is enough.
      args: [
        ...["install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"],
        `${name}@${version}`,
        ...name === "node-llama-cpp" ? [`@node-llama-cpp/${prebuiltPlatform()}@${version}`] : [],
      ],
      cwd: folder,
    },
  ).output();
  if (!success) {
    throw new Error(`npm cannot install ${name}: ${new TextDecoder().decode(stderr).trim()}`);
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
