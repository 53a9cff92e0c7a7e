/** What `show` says of projectors, beside a model and by themselves. */
import { assertEquals } from "@std/assert";
import { projectorRow } from "../../src/cli/show_projector.ts";
import { tinyBoth } from "../support/tiny_both.ts";
import { tinyHearing } from "../support/tiny_hearing.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { tinyVision } from "../support/tiny_vision.ts";
import { withFile } from "../support/loaded_model.ts";
import { runCli } from "./run_cli.ts";

Deno.test("show says whether a projector sees or hears, and of what is none that it is none", () =>
  withFile(tinyHearing(), async (path) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    assertEquals(projectorRow(path), ["sounds", `heard by its projector, ${name}`]);
    const { stdout } = await runCli(["show", path, "--json"]);
    assertEquals(JSON.parse(stdout).reads, "sounds");
    const rows: readonly (readonly [Uint8Array, string[]])[] = [
      [tinyVision(), ["images", `seen by its projector, ${name}`]],
      [
        tinyBoth("qwen2.5o", {
          ...{ vision: { kind: "qwen2.5vl_merger" }, audio: { kind: "qwen2.5o" } },
        }),
        ["images and sounds", `seen and heard by its projector, ${name}`],
      ],
      [tinyModel(), ["projector", `${name}, which is none`]],
      [Uint8Array.of(1, 2), ["projector", `${name}, which cannot be read`]],
    ];
    for (const [bytes, row] of rows) {
      await Deno.writeFile(path, bytes);
      assertEquals(projectorRow(path), row);
    }
  }));
