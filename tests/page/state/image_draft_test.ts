import { assertEquals } from "@std/assert";
import { createStore } from "../../../src/page/state/app_state.ts";
import { ImageDraft } from "../../../src/page/state/image_draft.ts";

/** A page whose model sees or not; names of files are their images, those of "bad" are none. */
async function withDraft(
  seesImages: boolean,
  use: (draft: ImageDraft, state: () => string, told: string[]) => Promise<void>,
  hearsSounds = false,
): Promise<void> {
  Object.assign(globalThis, { matchMedia: () => ({ matches: true }) });
  try {
    const store = createStore();
    const model = { id: "m", state: "loaded", progress: null, error: null, contextLength: null };
    store.set({ models: [{ ...model, state: "loaded", seesImages, hearsSounds }] });
    const told: string[] = [];
    const read = ({ name }: File) =>
      name === "bad" ? Promise.reject(new Error("It is none.")) : Promise.resolve(name);
    const readSound = ({ name }: File) => Promise.resolve(`(${name})`);
    const draft = new ImageDraft({ store, read, readSound, tell: (text) => told.push(text) });
    const state = () => `${store.state.draft.images.join("")}+${store.state.draft.reading}`;
    await use(draft, state, told);
  } finally {
    Reflect.deleteProperty(globalThis, "matchMedia");
  }
}

const files = (names: string) => names.split(" ").map((name) => new File([], name));

Deno.test("ImageDraft takes images in their order, also while others are read, up to eight", () =>
  withDraft(true, async (draft, state, told) => {
    const first = draft.attach(files("a b c d"));
    assertEquals(state(), "+4");
    const second = draft.attach(files("e bad f g h"));
    assertEquals(state(), "+8");
    await Promise.all([first, second]);
    assertEquals([...state()].toSorted().join(""), "+0abcdefg");
    assertEquals(told, ["A message has at most 8 images. It is none."]);
    await draft.attach(files("i j"));
    assertEquals(told.length, 2);
    assertEquals(state().length, 10);
    draft.remove(0);
    assertEquals(state().startsWith("a"), false);
    draft.clear();
    assertEquals(state(), "+0");
  }));

Deno.test("ImageDraft takes nothing for a model that sees nothing, and says so", () =>
  withDraft(false, async (draft, state, told) => {
    await draft.attach([]);
    assertEquals(told, []);
    await draft.attach(files("a"));
    assertEquals([state(), told.length], ["+0", 1]);
  }));

Deno.test("ImageDraft takes sounds for a model that hears, and images only for one that sees", async () => {
  await withDraft(false, async (draft, state, told) => {
    await draft.attach(files("a.mp3 b.WAV"));
    assertEquals([state(), ...told], ["(a.mp3)(b.WAV)+0"]);
    await draft.attach(files("c.mp3 d.png"));
    assertEquals(told, ["This model sees no images, or is not loaded yet: choose one that does."]);
    await draft.attach(files("1.ogg 2.ogg 3.ogg 4.ogg 5.ogg 6.ogg 7.ogg"));
    assertEquals(told.slice(1), ["A message has at most 8 sounds."]);
  }, true);
  await withDraft(true, async (draft, state, told) => {
    await draft.attach(files("a.flac"));
    assertEquals([state(), told.length, told[0].includes("hears no sounds")], ["+0", 1, true]);
  });
});
