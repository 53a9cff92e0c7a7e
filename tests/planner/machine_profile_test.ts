import { assertEquals, assertThrows } from "@std/assert";
import {
  DEFAULT_PROFILE,
  type MachineProfile,
  readGBps,
  readProfile,
  writeProfile,
} from "../../src/planner/machine_profile.ts";
import { profilePath } from "../../src/planner/mod.ts";

const PROFILE: MachineProfile = { ...DEFAULT_PROFILE, machine: "here", measuredAt: "2026-01-01" };

Deno.test("readProfile() gives what writeProfile() wrote, to the same machine only", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/a/b/machine.json`;
    assertEquals(readProfile(path, "here"), null);
    writeProfile(path, PROFILE);
    assertEquals(readProfile(path, "here"), PROFILE);
    assertEquals(readProfile(path, "elsewhere"), null);
    assertEquals([...Deno.readDirSync(`${folder}/a/b`)].length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readProfile() believes no damaged file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/machine.json`;
    const write = (profile: unknown) => Deno.writeTextFileSync(path, JSON.stringify(profile));
    for (
      const wrong of [
        "",
        "{",
        JSON.stringify(PROFILE).slice(0, -9),
        JSON.stringify({ ...PROFILE, version: 2 }),
        JSON.stringify({ ...PROFILE, readGBps: [] }),
        JSON.stringify({ ...PROFILE, readGBps: [0] }),
        JSON.stringify({ ...PROFILE, readGBps: [1e400] }),
        JSON.stringify({ ...PROFILE, disk: { ...PROFILE.disk, random: [] } }),
        JSON.stringify({ ...PROFILE, disk: { ...PROFILE.disk, sequentialBytesPerS: -1 } }),
      ]
    ) {
      Deno.writeTextFileSync(path, wrong);
      assertEquals(readProfile(path, "here"), null, wrong);
    }
    write(PROFILE);
    assertEquals(readProfile(path, "here"), PROFILE);
    assertThrows(() => writeProfile(path, { ...PROFILE, cores: 0 }));
    assertEquals(readProfile(path, "here"), PROFILE, "what is there stays");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("profilePath() is GANGLION_CACHE, else in the user's cache, else nowhere", () => {
  const at = (env: Record<string, string>) => profilePath((name) => env[name]);
  assertEquals(at({ GANGLION_CACHE: "/c", HOME: "/h" }), "/c/machine.json");
  assertEquals(at({ XDG_CACHE_HOME: "/x", HOME: "/h" }), "/x/ganglion/machine.json");
  assertEquals(at({ HOME: "/h" }), "/h/.cache/ganglion/machine.json");
  assertEquals(at({}), null);
});

Deno.test("readGBps() of more threads than were measured is that of the most", () => {
  assertEquals([1, 2, 3, 64].map((n) => readGBps(DEFAULT_PROFILE, n)), [11.4, 22, 22, 22]);
});
