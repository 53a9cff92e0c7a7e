/** Which keys do what. */
import { useApp } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { SHORTCUTS } from "./shortcuts.ts";

export function ShortcutsDialog() {
  const app = useApp();
  return (
    <Dialog title="Keys" onClose={() => app.store.set({ dialog: null })}>
      <dl class="shortcuts">
        {SHORTCUTS.map(([keys, does]) => (
          <div key={keys}>
            <dt>{keys.split(" ").map((key) => <kbd key={key}>{key}</kbd>)}</dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
