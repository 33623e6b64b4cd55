/** The three flags that tell a program of snix, or ours, the addresses of its services. */
export function serviceFlags(blobs: string, directories = blobs, pathInfos = blobs): string[] {
  return [
    ["--blob-service-addr", blobs],
    ["--directory-service-addr", directories],
    ["--path-info-service-addr", pathInfos],
  ].flat();
}
