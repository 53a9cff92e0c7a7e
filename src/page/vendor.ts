/**
 * The libraries that the page is made with, and what it uses of them: a file of its own for the
 * browser (built/vendor.js), which changes when a library does and is kept until then. The page's
 * sources import the libraries themselves; build.ts leads those imports here, and says what is
 * missing.
 */
export { createContext, render } from "preact";
export { useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export { Fragment, jsx, jsxs } from "preact/jsx-runtime";
export { Marked } from "marked";
export { default as DOMPurify } from "dompurify";
export { default as highlighter } from "highlight.js/lib/common";
