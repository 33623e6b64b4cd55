import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          environment: "node",
          include: ["test/{nix,hash,castore,store,wire,backends,node,conformance,interop}/**/*.test.ts"],
        },
      },
    ],
  },
});
