// @ts-check
/**
 * A plugin of Stryker that leaves the texts of error messages as they are. Tests check the codes of
 * errors, not the messages.
 */

/**
 * The part of Babel's node paths that the plugin reads.
 *
 * @typedef {object} Path
 * @property {{ type: string, callee?: { name?: string } }} parent the syntax node around this one
 * @property {string | undefined} listKey the list of the parent that has this node
 * @property {string | number | null} key the index in this list
 */

/** Index of the message among the arguments of each class. Other classes have it first. */
const MESSAGE_ARGUMENT = new Map([["StoreError", 1]]);

/** @param {Path} path */
function isErrorMessage({ parent, listKey, key }) {
  if (parent?.type !== "NewExpression" || listKey !== "arguments") return false;
  const name = parent.callee?.name ?? "";
  return /(?:Error|Fault)$/.test(name) && key === (MESSAGE_ARGUMENT.get(name) ?? 0);
}

export const strykerPlugins = [
  {
    kind: "Ignore",
    name: "error-messages",
    value: {
      /** @param {Path} path */
      shouldIgnore: (path) => (isErrorMessage(path) ? "the text of an error message" : undefined),
    },
  },
];
