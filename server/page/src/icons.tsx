/** Line icons on a grid of 16. */

const PATHS = {
  replay: "M3 8a5 5 0 1 1 1.6 3.700M3 12.500V9.200h3.300",
  save: "M8 2.500v7M5.200 6.900 8 9.700l2.800-2.800M3 12.800h10",
  open: "M2.500 12.500v-9h4l1.500 2h5.500v7z",
  sun: "M8 5.200a2.800 2.800 0 1 0 0 5.600 2.800 2.800 0 0 0 0-5.600M8 1.500v1M8 13.500v1M1.500 8h1M13.500 8h1M3.400 3.400l.7.7M11.900 11.900l.7.7M12.600 3.400l-.7.7M4.100 11.900l-.7.7",
  moon: "M13.200 9.700A5.700 5.700 0 0 1 6.300 2.800a5.700 5.700 0 1 0 6.900 6.900z",
  stop: "M4.500 4.500h7v7h-7z",
  ask: "M8 13V3.500M4 7.200 8 3.200l4 4",
  close: "M4 4l8 8M12 4l-8 8",
  left: "M10 3.500 5.500 8l4.500 4.500",
  right: "M6 3.500 10.500 8 6 12.500",
  add: "M8 3.500v9M3.500 8h9",
  down: "M3.500 6 8 10.500 12.500 6",
};

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}
