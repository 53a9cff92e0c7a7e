/** How the model is to answer, and how the page looks. Empty fields are the server's affair. */
import { BOUNDS, DEFAULT_SETTINGS, type NumberSetting } from "../state/settings.ts";
import type { Theme } from "../types.ts";
import { useApp, useAppState } from "./context.ts";
import { Dialog } from "./dialog.tsx";

interface Field {
  readonly name: NumberSetting;
  readonly label: string;
  readonly placeholder: string;
  readonly note: string;
}

const FIELDS: readonly Field[] = [
  {
    ...{ name: "temperature", label: "Temperature", placeholder: "0.8" },
    note: "0 always takes the likeliest word, more is more playful",
  },
  { name: "maxTokens", label: "Longest answer", placeholder: "No limit", note: "In tokens" },
  { name: "topP", label: "Top p", placeholder: "0.95", note: "Likeliest words up to this sum" },
  { name: "topK", label: "Top k", placeholder: "40", note: "So many of the likeliest words" },
  { name: "minP", label: "Min p", placeholder: "0.05", note: "Share of the likeliest word" },
  {
    ...{ name: "repeatPenalty", label: "Repeat penalty", placeholder: "1" },
    note: "Above 1 avoids what was said",
  },
  { name: "seed", label: "Seed", placeholder: "Random", note: "The same one, the same answer" },
];

const THEMES: readonly (readonly [Theme, string])[] = [
  ["", "Like the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function SettingsDialog() {
  const app = useApp();
  const settings = useAppState((state) => state.settings);
  const close = () => app.store.set({ dialog: null });
  return (
    <Dialog title="Settings" onClose={close}>
      <form class="settings" onSubmit={(event) => (event.preventDefault(), close())}>
        <label for="system">System prompt</label>
        <textarea
          id="system"
          rows={4}
          placeholder="How the model should behave, in every chat"
          value={settings.system}
          onInput={(event) => app.changeSettings({ system: event.currentTarget.value })}
        />
        <div class="fields">
          {FIELDS.map((field) => <NumberField key={field.name} {...field} />)}
        </div>
        <fieldset class="themes">
          <legend>Appearance</legend>
          {THEMES.map(([theme, label]) => (
            <label key={theme}>
              <input
                type="radio"
                name="theme"
                checked={settings.theme === theme}
                onChange={() => app.changeSettings({ theme })}
              />
              {label}
            </label>
          ))}
        </fieldset>
        <div class="dialog-actions">
          <button type="button" class="quiet" onClick={() => app.changeSettings(DEFAULT_SETTINGS)}>
            Reset
          </button>
          <button type="submit" class="primary">Done</button>
        </div>
      </form>
    </Dialog>
  );
}

function NumberField({ name, label, placeholder, note }: Field) {
  const app = useApp();
  const value = useAppState((state) => state.settings[name]);
  const { min, max, step } = BOUNDS[name];
  const change = (input: HTMLInputElement) => {
    const number = input.value === "" ? null : input.valueAsNumber;
    // What is out of bounds is marked by the browser, and not taken over.
    if (input.validity.valid) app.changeSettings({ [name]: number });
  };
  return (
    <div class="field">
      <label for={name}>{label}</label>
      <input
        id={name}
        type="number"
        inputMode="decimal"
        {...{ min, max, step, placeholder }}
        value={value ?? ""}
        aria-describedby={`${name}-note`}
        onChange={(event) => change(event.currentTarget)}
      />
      <span id={`${name}-note`} class="faint">{note}</span>
    </div>
  );
}
