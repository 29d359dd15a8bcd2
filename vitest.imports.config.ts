/** The import rules alone, without a database: for `npm run check`. */
import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["tests/architecture.test.ts"] } });
