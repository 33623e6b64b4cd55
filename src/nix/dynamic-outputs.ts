import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";

/**
 * Dynamic derivations, an experimental feature of Nix: an output of a derivation can be the `.drv`
 * file of another derivation. `builtins.outputOf` names an output of that other derivation.
 */

/** The needed outputs of derivations, by the output that holds the `.drv` file of each. */
export type DynamicOutputs = ReadonlyMap<string, NeededOutputs>;

/** The outputs of a derivation that another derivation needs. */
export interface NeededOutputs {
  readonly outputs: ReadonlySet<string>;
  readonly dynamicOutputs: DynamicOutputs;
}

/**
 * Maximum depth of nested dynamic outputs. Nix has no limit of its own, but each level is one more
 * call of `builtins.outputOf`.
 */
const MAX_DEPTH = 100;
const TOO_DEEP = `dynamic outputs are nested more than ${MAX_DEPTH} deep`;

/**
 * Lists the nodes of a tree of dynamic outputs, each before its children.
 *
 * @param root the input derivation, at depth 0
 * @throws StoreError `invalid` if the tree is too deep
 */
export function parentsFirst<T>(root: T, children: (node: T) => Iterable<T>): T[] {
  const found: T[] = [];
  let level = [root];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw new StoreError("invalid", TOO_DEEP);
    const next: T[] = [];
    for (const node of level) {
      found.push(node);
      for (const child of children(node)) next.push(child);
    }
    level = next;
  }
  return found;
}

/**
 * Checks the names and the depth, and that each derivation has a needed output.
 *
 * @param checkName throws for a name that no output can have
 * @throws StoreError `invalid`
 */
export function checkDynamicOutputs(root: DynamicOutputs, checkName: (name: string) => void): void {
  const input: NeededOutputs = { outputs: new Set(), dynamicOutputs: root };
  for (const { outputs, dynamicOutputs } of parentsFirst(input, (node) => node.dynamicOutputs.values())) {
    if (outputs.size === 0 && dynamicOutputs.size === 0)
      throw new StoreError("invalid", "it needs no output of a derivation that another derivation builds");
    for (const name of outputs) checkName(name);
    for (const name of dynamicOutputs.keys()) checkName(name);
  }
}

/** The methods of the `.drv` reader that `readNeededOutputs` calls. */
export interface TermReader {
  /** Takes `literal` if it comes next. Returns whether it did. */
  skip(literal: string): boolean;
  /**
   * Takes `literal`.
   *
   * @throws StoreError `invalid` if another text comes next
   */
  take(literal: string): void;
  /** Takes a string. */
  text(): string;
  /** Takes a list of strings. */
  set(what: string): Set<string>;
  /** Creates an error that states the position of the reader. */
  error(problem: string): StoreError;
}

/**
 * Reads the needed outputs of one input from a `.drv` file: a list of names, or
 * `(names,[(name,needed),...])`.
 *
 * @throws StoreError `invalid`
 */
export function readNeededOutputs(reader: TermReader): NeededOutputs {
  const open: { readonly outputs: Set<string>; readonly dynamicOutputs: Map<string, NeededOutputs>; name: string }[] = [];
  /** Reads the start of a node. Returns the node if it has no dynamic outputs; else opens it. */
  const begin = (): NeededOutputs | undefined => {
    const isDynamic = reader.skip("(");
    const outputs = reader.set("output");
    if (!isDynamic) return { outputs, dynamicOutputs: new Map() };
    reader.take(",[");
    open.push({ outputs, dynamicOutputs: new Map(), name: "" });
    if (open.length > MAX_DEPTH) throw reader.error(TOO_DEEP);
    return undefined;
  };
  let complete = begin();
  for (;;) {
    const top = open.at(-1);
    if (complete && !top) return complete;
    if (!top) throw new StoreError("internal", "the inputs of a derivation were not read");
    if (complete) {
      reader.take(")");
      top.dynamicOutputs.set(top.name, complete);
      complete = undefined;
    }
    if (reader.skip("])")) {
      open.pop();
      complete = { outputs: top.outputs, dynamicOutputs: top.dynamicOutputs };
      continue;
    }
    if (top.dynamicOutputs.size > 0) reader.take(",");
    reader.take("(");
    top.name = reader.text();
    if (top.dynamicOutputs.has(top.name)) throw reader.error(`dynamic output ${quote(top.name)} occurs twice`);
    reader.take(",");
    complete = begin();
  }
}

/**
 * Formats needed outputs for a `.drv` file, in pieces.
 *
 * @param root must have passed `checkDynamicOutputs`: its names are ASCII and need no escapes
 */
export function* formatNeededOutputs(root: NeededOutputs): Generator<string> {
  const open: { readonly items: readonly [string, NeededOutputs][]; at: number }[] = [];
  const begin = ({ outputs, dynamicOutputs }: NeededOutputs): string => {
    const names = `[${[...outputs]
      .sort()
      .map((name) => `"${name}"`)
      .join(",")}]`;
    if (dynamicOutputs.size === 0) return names;
    open.push({ items: [...dynamicOutputs].sort(([a], [b]) => (a < b ? -1 : 1)), at: 0 });
    return `(${names},[`;
  };
  yield begin(root);
  for (let top = open.at(-1); top; top = open.at(-1)) {
    const item = top.items[top.at];
    if (!item) {
      open.pop();
      yield open.length > 0 ? "]))" : "])";
      continue;
    }
    const [name, needed] = item;
    yield `${top.at === 0 ? "" : ","}("${name}",`;
    top.at++;
    yield begin(needed);
    if (needed.dynamicOutputs.size === 0) yield ")";
  }
}
