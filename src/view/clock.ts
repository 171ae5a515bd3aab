/** The local time of day, as in `03:04:05`. */
export function clockText(time: Date): string {
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits).join(':')
}

/** The local date and time for the name of a file, as in `20261128-030405`. */
export function stampText(time: Date): string {
  return [time.getFullYear(), time.getMonth() + 1, time.getDate()].map(twoDigits).join('') + `-${clockText(time).replaceAll(':', '')}`
}

const twoDigits = (value: number) => `${value}`.padStart(2, '0')
