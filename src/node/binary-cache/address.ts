/**
 * Splits a request's path into percent-decoded segments (RFC 3986, 2.1). Decoding is necessary
 * because some clients encode characters such as `+` in names and others don't. An encoded slash
 * does not separate segments.
 *
 * @param url target of the request: the path, possibly with a query
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
