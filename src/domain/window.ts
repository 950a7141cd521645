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
  return isOpenAt(known(text), now);
}

function known(text: string): Window {
  const window = parseWindow(text);
  if (!window) throw new Error(`not a window: ${text}`);
  return window;
}

function isOpenAt(window: Window, now: Date): boolean {
  const { days, from, to, zone } = window;
  const { day, minute } = wallClock(now, zone);
  if (from < to) return days.includes(day) && minute >= from && minute < to;
  return (days.includes(day) && minute >= from) || (days.includes((day + 6) % 7) && minute < to);
}

const MINUTE = 60_000;
const DAY = 24 * 60;
const WEEK = 7 * DAY;

/** When the window opens next; `now` itself while it is open. */
export function opensAt(text: string, now: Date): Date {
  const window = known(text);
  let from = now;
  // A change of the clocks may leave an opening out, bring one twice, or open the window by itself: it is a new start.
  while (!isOpenAt(window, from)) {
    const opens = openingAfter(window, from);
    const changed = changeOfClocks(window.zone, from, opens);
    if (!changed) return opens;
    from = changed;
  }
  return from;
}

/** As if the clocks stayed as they are. */
function openingAfter({ days, from, zone }: Window, now: Date): Date {
  const { day, minute } = wallClock(now, zone);
  const waits = days.map((one) => {
    const ahead = (one - day) * DAY + from - minute;
    return ahead > 0 ? ahead : ahead + WEEK;
  });
  return new Date(wholeMinute(now) + Math.min(...waits) * MINUTE);
}

const wholeMinute = (at: Date): number => Math.floor(at.getTime() / MINUTE) * MINUTE;

/** The first minute at which the zone's clock runs otherwise than at the beginning; null: it does not change. */
function changeOfClocks(zone: string, after: Date, until: Date): Date | null {
  const ahead = (ms: number): number => {
    const { day, minute } = wallClock(new Date(ms), zone);
    return (day * DAY + minute - ms / MINUTE) % WEEK;
  };
  const same = (a: number, b: number) => (a - b) % WEEK === 0;
  let before = wholeMinute(after);
  let changed = until.getTime();
  const usual = ahead(before);
  if (same(ahead(changed), usual)) return null;
  while (changed - before > MINUTE) {
    const middle = wholeMinute(new Date((before + changed) / 2));
    if (same(ahead(middle), usual)) before = middle;
    else changed = middle;
  }
  return new Date(changed);
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
