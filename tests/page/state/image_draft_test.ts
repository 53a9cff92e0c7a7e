import { assertEquals } from "@std/assert";
import { createStore } from "../../../src/page/state/app_state.ts";
import { ImageDraft } from "../../../src/page/state/image_draft.ts";

/** A page whose model sees or not; names of files are their images, those of "bad" are none. */
async function withDraft(
  seesImages: boolean,
  use: (draft: ImageDraft, state: () => string, told: string[]) => Promise<void>,
): Promise<void> {
  Object.assign(globalThis, { matchMedia: () => ({ matches: true }) });
  try {
    const store = createStore();
    const model = { id: "m", state: "loaded", progress: null, error: null, contextLength: null };
    store.set({ models: [{ ...model, state: "loaded", seesImages }] });
    const told: string[] = [];
    const read = ({ name }: File) =>
      name === "bad" ? Promise.reject(new Error("It is none.")) : Promise.resolve(name);
    const draft = new ImageDraft({ store, read, tell: (text) => told.push(text) });
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
