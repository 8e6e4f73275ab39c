import { defineConfig } from "vite";

/** KaTeX's style sheet names each font in three formats; every browser that runs this page takes the first. */
const onlyWoff2 = {
  name: "only-woff2",
  enforce: "pre",
  transform: (code, id) =>
    id.includes("katex.min.css") ? code.replace(/,url\([^)]*\.(woff|ttf)\) format\("[a-z]+"\)/g, "") : undefined,
};

export default defineConfig({
  base: "./",
  plugins: [onlyWoff2],
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // data: URLs would need a laxer Content-Security-Policy
    modulePreload: false,
    chunkSizeWarningLimit: 1000,
  },
  server: { proxy: { "/v1": "http://127.0.0.1:8000" } },
});
