/** The middle of the page, onto which images can be dropped. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { currentModel } from "../state/app_state.ts";
import { useApp, useAppState } from "./context.ts";

export function DropPlace({ children }: { readonly children: ComponentChildren }) {
  const app = useApp();
  const sees = useAppState((state) => currentModel(state)?.seesImages ?? false);
  const [isOver, setOver] = useState(false);
  return (
    <div
      class="middle"
      onDragOver={(event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={({ currentTarget, relatedTarget }) =>
        currentTarget.contains(relatedTarget as Node | null) || setOver(false)}
      onDrop={(event) => {
        setOver(false);
        if (!hasFiles(event)) return;
        // Else the browser would leave the page for the file.
        event.preventDefault();
        app.images.attach([...event.dataTransfer!.files]);
      }}
    >
      {children}
      {isOver && sees && <p class="drop-hint">Drop images to show them to the model</p>}
    </div>
  );
}

function hasFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes("Files") ?? false;
}
