/**
 * The segments of a request's path, each percent-decoded (RFC 3986, 2.1): Nix encodes characters of names that other clients send as
 * they are, such as `+`. An encoded slash separates nothing.
 *
 * @param url a request's target: the path, perhaps with a query
 * @returns `undefined` for what is not a path from the root, or is wrongly encoded
 */
export function pathSegments(url: string): string[] | undefined {
  const [path = ""] = url.split(/[?#]/, 1);
  const [first, ...segments] = path.split("/");
  if (first !== "" || segments.length === 0) return undefined;
  try {
    return segments.map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
