/** The middle of the page, onto which images and sounds can be dropped. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { currentModel, takenBy } from "../state/app_state.ts";
import { useApp, useAppState } from "./context.ts";

export function DropPlace({ children }: { readonly children: ComponentChildren }) {
  const app = useApp();
  const takes = useAppState((state) => takenBy(currentModel(state)));
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
      {isOver && takes !== null && <p class="drop-hint">Drop {takes} for the model</p>}
    </div>
  );
}

function hasFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes("Files") ?? false;
}
