/** Drawings on buttons, 24 × 24; names of buttons are the buttons' affair. */

const PATHS = {
  plus: "M12 5v14M5 12h14",
  menu: "M4 6h16M4 12h16M4 18h10",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M20 20l-4-4",
  settings: "M4 7h9M19 7h1M16 4.5v5M4 17h1M11 17h9M8 14.5v5",
  neurons: "M12 12 6 5M12 12l7-5M12 12l-5 7M12 12l6 6M12 12m-2 0a2 2 0 1 0 4 0 2 2 0 1 0-4 0",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M8 8h8v8H8z",
  copy: "M9 9h10v10H9zM5 15V5h10",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  again: "M19 5v5h-5M5 19v-5h5M18.5 10A7 7 0 0 0 6 8M5.5 14A7 7 0 0 0 18 16",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  bin: "M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12M10 11v5M14 11v5",
  close: "M6 6l12 12M18 6 6 18",
  keyboard: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9h.01",
  sound: "M5 10v4M9 6v12M13 9v6M17 4v16M21 10v4",
  microphone: "M12 4a3 3 0 0 0-3 3v4a3 3 0 0 0 6 0V7a3 3 0 0 0-3-3M6 11a6 6 0 0 0 12 0M12 17v4",
  export: "M12 4v11M7 10l5 5 5-5M5 20h14",
  import: "M12 15V4M7 9l5-5 5 5M5 20h14",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark of Ganglion: a neuron. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M16 16 6 7M16 16l11-6M16 16l-7 11M16 16l9 9" />
      <circle cx="16" cy="16" r="4.5" />
      <circle cx="6" cy="7" r="2" />
      <circle cx="27" cy="10" r="2" />
      <circle cx="9" cy="27" r="2" />
      <circle cx="25" cy="25" r="2" />
    </svg>
  );
}

export interface IconButtonProps {
  readonly icon: IconName;
  readonly label: string;
  readonly onClick: () => void;
  /** More classes. */
  readonly kind?: string;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
}

/** A button that is a drawing; its name is said to those who do not see it. */
export function IconButton({ icon, label, onClick, kind = "", ...state }: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${kind}`}
      aria-label={label}
      title={label}
      aria-pressed={state.pressed}
      disabled={state.disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}
