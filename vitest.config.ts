import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{apps,packages}/*/{src,tests,fuzz}/**/*.test.ts", "tests/**/*.test.ts"],
    globalSetup: "./tests/global-setup.ts",
    reporters: ["default", "./tests/closing-line.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
