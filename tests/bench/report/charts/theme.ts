/** Colours of a chart on a light page and on a dark one. Invariant: no background of its own, so that the page shows through. */
import { isLimit } from '../names.ts';

export const THEME_NAMES = ['light', 'dark'] as const;
export type ThemeName = (typeof THEME_NAMES)[number];

export interface Theme {
  readonly text: string;
  /** What is said beside the matter. */
  readonly quiet: string;
  readonly grid: string;
  readonly ours: string;
  readonly peer: string;
  /** The peer that the goals name. */
  readonly rival: string;
  /** What cannot be beaten. */
  readonly limit: string;
}

export const THEMES: Readonly<Record<ThemeName, Theme>> = {
  light: {
    text: '#1f2328',
    quiet: '#59636e',
    grid: '#d9dfe5',
    ours: '#0969da',
    peer: '#7d8590',
    rival: '#bc4c00',
    limit: '#1a7f37',
  },
  dark: {
    text: '#f0f6fc',
    quiet: '#9da5ae',
    grid: '#323840',
    ours: '#58a6ff',
    peer: '#8b949e',
    rival: '#f0883e',
    limit: '#3fb950',
  },
};

/** In pixels, at the width of a README. */
export const WIDTH = 820;
export const FONT_SIZE = 13;
export const FONT_FAMILY = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif';

/** Of whoever a mark stands for. */
export function colorOf(theme: Theme, who: string): string {
  if (who === 'leasehold') return theme.ours;
  if (who === 'iceoryx') return theme.rival;
  return isLimit({ who }) || who === 'own-memory' || who === 'memory' ? theme.limit : theme.peer;
}
