import type { ComponentChildren } from "preact";

/** Pictures of 16 pixels, drawn with the colour of the text. */

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      {children}
    </svg>
  );
}

export const Mark = () => (
  <svg viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" fill="currentColor" />
    <g fill="none" stroke="var(--panel)" stroke-width="2.4">
      <path d="M16 11v10M11 16h10" stroke-linecap="round" />
      <circle cx="16" cy="16" r="9.5" />
    </g>
  </svg>
);
export const OverviewIcon = () => <Icon><path d="M1.5 8.5h3l2-5.5 3 10 2-4.5h3" /></Icon>;
export const TopologyIcon = () => <Icon><circle cx="8" cy="8" r="2" /><circle cx="3" cy="3.5" r="1.5" /><circle cx="13" cy="4" r="1.5" /><circle cx="11.5" cy="13" r="1.5" /><path d="m4.2 4.5 2.3 2M11.7 5 9.7 6.8M10.8 11.7 9 9.7" /></Icon>;
export const PeersIcon = () => <Icon><circle cx="6" cy="5.5" r="2.5" /><path d="M1.5 13.5c.4-2.6 2.1-4 4.5-4s4.1 1.4 4.5 4M10.5 3.3a2.5 2.5 0 0 1 0 4.4M12 9.8c1.4.6 2.2 1.9 2.5 3.7" /></Icon>;
export const GossipIcon = () => <Icon><circle cx="8" cy="8" r="1.2" fill="currentColor" /><path d="M5.3 10.7a3.8 3.8 0 0 1 0-5.4M10.7 5.3a3.8 3.8 0 0 1 0 5.4M3.2 12.8a6.8 6.8 0 0 1 0-9.6M12.8 3.2a6.8 6.8 0 0 1 0 9.6" /></Icon>;
export const LimitsIcon = () => <Icon><ellipse cx="8" cy="3.5" rx="5.5" ry="2" /><path d="M2.5 3.5v9c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2v-9M2.5 8c0 1.1 2.5 2 5.5 2s5.5-.9 5.5-2" /></Icon>;
export const LogsIcon = () => <Icon><path d="M2 3.5h12M2 8h8M2 12.5h10" /></Icon>;
export const DhtIcon = () => <Icon><rect x="1.5" y="1.5" width="5" height="5" rx="1" /><rect x="9.5" y="1.5" width="5" height="5" rx="1" /><rect x="1.5" y="9.5" width="5" height="5" rx="1" /><path d="M9.5 12h5M12 9.5v5" /></Icon>;
export const NatIcon = () => <Icon><path d="M8 1.5 2.5 3.7v4c0 3.3 2.2 5.7 5.5 6.8 3.3-1.1 5.5-3.5 5.5-6.8v-4L8 1.5Z" /><path d="M5.5 8h5M8.7 6.2 10.5 8 8.7 9.8" /></Icon>;
export const PlayIcon = () => <Icon><path d="M4.5 2.5v11l9-5.5-9-5.5Z" fill="currentColor" /></Icon>;
export const PauseIcon = () => <Icon><path d="M5 3v10M11 3v10" stroke-width="2.5" /></Icon>;
export const FitIcon = () => <Icon><path d="M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4" /></Icon>;
export const PlusIcon = () => <Icon><path d="M8 3v10M3 8h10" /></Icon>;
export const MinusIcon = () => <Icon><path d="M3 8h10" /></Icon>;
export const TickIcon = () => <Icon><path d="m3 8.5 3.5 3.5L13 4.5" stroke-width="2" /></Icon>;
export const WarnIcon = () => <Icon><path d="M8 2 1.5 13.5h13L8 2Z" /><path d="M8 6.5v3M8 11.7v.1" /></Icon>;
export const CrossIcon = () => <Icon><path d="m4 4 8 8M12 4l-8 8" stroke-width="2" /></Icon>;
export const DotIcon = () => <Icon><circle cx="8" cy="8" r="3" fill="currentColor" stroke="none" /></Icon>;
export const CopyIcon = () => <Icon><rect x="5.5" y="5.5" width="8.5" height="8.5" rx="1.5" /><path d="M10.5 5.5V3A1 1 0 0 0 9.5 2H3a1 1 0 0 0-1 1v6.5a1 1 0 0 0 1 1h2.5" /></Icon>;
export const SendIcon = () => <Icon><path d="M14 2 7 9M14 2l-4.5 12L7 9 2 6.5 14 2Z" /></Icon>;
