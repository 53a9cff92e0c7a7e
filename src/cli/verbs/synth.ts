/** `synth --shape NAME -o FILE`: a GGUF of a real model's shape with random weights. */
import type { Command } from "commander";
import { UsageError } from "../../base/errors.ts";
import { formatBytes } from "../../base/units.ts";
import { decimal, wholeNumber } from "../option_values.ts";
import { writeJson, writeOutLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { createDataVerb, requireOption } from "../verb.ts";
