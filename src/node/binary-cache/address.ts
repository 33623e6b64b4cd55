/**
 * Splits a request's path into segments, each percent-decoded (RFC 3986, 2.1): some clients encode
 * characters of names, such as `+`, that others send as they are. An encoded slash separates
 * nothing.
 *
 * @param url the request's target: the path, perhaps with a query
 * @returns `undefined` if the path is not absolute or its encoding is wrong
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
