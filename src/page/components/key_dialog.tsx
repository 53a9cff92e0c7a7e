/** Asks for the key that the server wants. */
import { useState } from "preact/hooks";
import { useApp, useAppState } from "./context.ts";
import { Dialog } from "./dialog.tsx";

export function KeyDialog() {
  const app = useApp();
  const isWrong = useAppState((state) => state.isKeyWrong);
  const [key, setKey] = useState("");
  return (
    <Dialog title="API key" onClose={() => app.giveKey(null)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim() !== "") app.giveKey(key.trim());
        }}
      >
        {isWrong && <p class="wrong" role="alert">The server does not know that key.</p>}
        <label for="key">This server asks for an API key</label>
        <input
          id="key"
          type="password"
          autocomplete="current-password"
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <p class="faint">
          Whoever started the server has it. It is kept until this tab is closed.
        </p>
        <div class="dialog-actions">
          <button type="submit" class="primary" disabled={key.trim() === ""}>Use this key</button>
        </div>
      </form>
    </Dialog>
  );
}
