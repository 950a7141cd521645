import { Cron } from 'croner';

/** A rotation window: days, hours and a time zone, such as `Sat 02:00-06:00 Europe/Madrid` (design.md §6). */

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const FORM =
  /^((?:Sun|Mon|Tue|Wed|Thu|Fri|Sat)(?:[-,](?:Sun|Mon|Tue|Wed|Thu|Fri|Sat))*) ([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d) (\S+)$/;

interface Window {
  /** 0 is Sunday; the days on which it opens. */
  days: number[];
  /** Minutes of the local day; an end that is not after the start is on the next day. */
  from: number;
  to: number;
  zone: string;
}

/** Null where the text is no window. `Mon-Fri` is a range, and may run over the end of the week. */
export function parseWindow(text: string): Window | null {
  const match = FORM.exec(text);
  if (!match) return null;
  const [, days, fromHour, fromMinute, toHour, toMinute, zone] = match;
  if (!isTimeZone(zone!)) return null;
  return {
    days: daysOf(days!),
    from: Number(fromHour) * 60 + Number(fromMinute),
    to: Number(toHour) * 60 + Number(toMinute),
    zone: zone!,
  };
}

function daysOf(text: string): number[] {
  const days = new Set<number>();
  for (const part of text.split(',')) {
    const [first, ...more] = part.split('-').map((name) => DAYS.indexOf(name as (typeof DAYS)[number]));
    const last = more.at(-1) ?? first!;
    for (let day = first!; ; day = (day + 1) % 7) {
      days.add(day);
      if (day === last) break;
    }
  }
  return [...days].toSorted((a, b) => a - b);
}

function isTimeZone(zone: string): boolean {
  try {
    return Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/**
 * Whether the window is open: by the clock on the wall of its zone, so that it moves with daylight saving; hours
 * that a change of the clocks leaves out do not come that day.
 */
export function isOpen(text: string, now: Date): boolean {
  const window = parseWindow(text);
  if (!window) throw new Error(`not a window: ${text}`);
  const { days, from, to, zone } = window;
  const { day, minute } = wallClock(now, zone);
  if (from < to) return days.includes(day) && minute >= from && minute < to;
  return (days.includes(day) && minute >= from) || (days.includes((day + 6) % 7) && minute < to);
}

/** When the window opens next; `now` itself while it is open. */
export function opensAt(text: string, now: Date): Date {
  if (isOpen(text, now)) return now;
  const { days, from, zone } = parseWindow(text)!;
  const opening = new Cron(`${from % 60} ${Math.floor(from / 60)} * * ${days.join(',')}`, {
    timezone: zone,
    paused: true,
  });
  return opening.nextRun(now) ?? now;
}

function wallClock(now: Date, zone: string): { day: number; minute: number } {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(now);
  const part = (type: string) => parts.find((one) => one.type === type)!.value;
  return {
    day: DAYS.indexOf(part('weekday') as (typeof DAYS)[number]),
    minute: Number(part('hour')) * 60 + Number(part('minute')),
  };
}
