/** Images of messages, small ones in a row and one of them large; and sounds, to be played. */
import { isOfSound } from "../state/sound_urls.ts";
import { useApp, useAppState } from "./context.ts";
import { Dialog } from "./dialog.tsx";
import { IconButton } from "./icon.tsx";

export function ImageRow({ images, reading = 0, onRemove }: {
  readonly images: readonly string[];
  /** So many more are being read. */
  readonly reading?: number;
  /** Left out: they stay. */
  readonly onRemove?: (index: number) => void;
}) {
  const app = useApp();
  if (images.length + reading === 0) return null;
  const nameOf = (index: number) => {
    const kind = isOfSound(images[index]) ? "sound" : "image";
    return images.length === 1 ? kind : `${kind} ${index + 1}`;
  };
  const hasSounds = images.some(isOfSound), hasImages = !images.every(isOfSound);
  const label = hasSounds ? hasImages ? "Images and sounds" : "Sounds" : "Images";
  return (
    <ul class="images" aria-label={label}>
      {images.map((url, index) => (
        <li key={index}>
          {isOfSound(url) ? <Sound url={url} name={nameOf(index)} /> : (
            <button
              type="button"
              class="thumbnail"
              aria-label={`Show ${nameOf(index)}`}
              onClick={() => app.store.set({ dialog: "image", shownImage: url })}
            >
              <img src={url} alt="" />
            </button>
          )}
          {onRemove !== undefined && (
            <IconButton
              icon="close"
              kind="small remove"
              label={`Remove ${nameOf(index)}`}
              onClick={() => onRemove(index)}
            />
          )}
        </li>
      ))}
      {Array.from({ length: reading }, (_, index) => (
        <li key={images.length + index}>
          <span class="thumbnail is-reading" role="img" aria-label="A file is being read" />
        </li>
      ))}
    </ul>
  );
}

function Sound({ url, name }: { readonly url: string; readonly name: string }) {
  return (
    <audio
      controls
      preload="metadata"
      src={url}
      aria-label={name}
      onLoadedMetadata={({ currentTarget }) => findLength(currentTarget)}
    />
  );
}

/** A browser's own recordings do not say how long they are: that is at their end. */
function findLength(sound: HTMLAudioElement): void {
  if (sound.duration !== Infinity) return;
  sound.addEventListener("durationchange", () => sound.currentTime = 0, { once: true });
  sound.currentTime = Number.MAX_SAFE_INTEGER;
}

export function ImageDialog() {
  const app = useApp();
  const url = useAppState((state) => state.shownImage);
  return (
    <Dialog
      title="Image"
      kind="wide"
      onClose={() => app.store.set({ dialog: null, shownImage: null })}
    >
      {url !== null && <img class="large" src={url} alt="The image that was sent" />}
    </Dialog>
  );
}
