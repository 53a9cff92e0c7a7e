/**
 * Formats of strings as patterns: each allows a part of what the format does, and nothing else, so
 * that an answer passes whatever checks it.
 */

const DAY = "(?:0[1-9]|1\\d|2[0-8])";
const DATE = "[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|" +
  `(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-${DAY})`;
const TIME = "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?" +
  "(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
const LABEL = "[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?";
const HOST = `${LABEL}(?:\\.${LABEL}){0,4}`;
const BYTE = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const CLOCK = "\\d{1,2}H(?:\\d{1,2}M(?:\\d{1,2}S)?)?|\\d{1,2}M(?:\\d{1,2}S)?|\\d{1,2}S";
const PATH = "(?:/[A-Za-z0-9._~-]{0,40}){0,8}(?:\\?[A-Za-z0-9._~=&-]{1,60})?" +
  "(?:#[A-Za-z0-9._~-]{1,40})?";

/** Patterns by format. */
export const FORMATS: ReadonlyMap<string, string> = new Map([
  ["date", `^${DATE}$`],
  ["time", `^${TIME}$`],
  ["date-time", `^${DATE}T${TIME}$`],
  [
    "duration",
    `^P(?:\\d{1,3}W|\\d{1,3}D(?:T(?:${CLOCK}))?|\\d{1,2}M(?:\\d{1,2}D)?|` +
    `\\d{1,3}Y(?:\\d{1,2}M(?:\\d{1,2}D)?)?|T(?:${CLOCK}))$`,
  ],
  ["uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"],
  ["ipv4", `^${BYTE}(?:\\.${BYTE}){3}$`],
  ["ipv6", "^[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}$"],
  ["hostname", `^${HOST}$`],
  [
    "email",
    "^[a-z0-9_-]{1,20}(?:[.+][a-z0-9_-]{1,20}){0,2}@" +
    `${LABEL}(?:\\.${LABEL}){0,2}\\.[a-z]{2,10}$`,
  ],
  ["uri", `^https?://${HOST}(?::[1-9]\\d{0,3})?${PATH}$`],
]);

/** Formats that JSON Schema defines, too, and that nothing here writes. */
export const OTHER_FORMATS: ReadonlySet<string> = new Set([
  "idn-email",
  "idn-hostname",
  "iri",
  "iri-reference",
  "json-pointer",
  "regex",
  "relative-json-pointer",
  "uri-reference",
  "uri-template",
]);
