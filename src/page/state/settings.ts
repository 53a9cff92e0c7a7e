/** Settings, as the browser keeps them: what it kept may be anybody's, or of another version. */
import type { Settings, Theme } from "../types.ts";

/** A number that a setting may be. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

/** The settings that are numbers. */
export type NumberSetting = Exclude<keyof Settings, "system" | "theme">;

export const BOUNDS: Readonly<Record<NumberSetting, Bounds>> = {
  temperature: { min: 0, max: 2, step: 0.05 },
  topP: { min: 0, max: 1, step: 0.01 },
  topK: { min: 0, max: 1000, step: 1 },
  minP: { min: 0, max: 1, step: 0.01 },
  repeatPenalty: { min: 0.5, max: 2, step: 0.01 },
  seed: { min: 0, max: 2 ** 31 - 1, step: 1 },
  maxTokens: { min: 1, max: 1_000_000, step: 1 },
};

export const DEFAULT_SETTINGS: Settings = {
  system: "",
  temperature: null,
  topP: null,
  topK: null,
  minP: null,
  repeatPenalty: null,
  seed: null,
  maxTokens: null,
  theme: "",
};

const KEY = "ganglion.settings";
const THEMES: readonly unknown[] = ["", "light", "dark"] satisfies Theme[];

export function loadSettings(): Settings {
  try {
    return settingsOf(JSON.parse(localStorage.getItem(KEY) ?? "{}"));
  } catch {
    return DEFAULT_SETTINGS;
  }
}

export function saveSettings(settings: Settings): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing still chats.
  }
}

/** What of a value is settings; the rest is as by default. */
export function settingsOf(value: unknown): Settings {
  const given = (typeof value === "object" && value !== null ? value : {}) as Partial<
    Record<keyof Settings, unknown>
  >;
  const numbers = Object.fromEntries(
    Object.entries(BOUNDS).map(([name, { min, max }]) => {
      const number = given[name as NumberSetting];
      const isGood = typeof number === "number" && number >= min && number <= max;
      return [name, isGood ? number : null];
    }),
  ) as Record<NumberSetting, number | null>;
  return {
    ...numbers,
    system: typeof given.system === "string" ? given.system : "",
    theme: THEMES.includes(given.theme) ? given.theme as Theme : "",
  };
}
