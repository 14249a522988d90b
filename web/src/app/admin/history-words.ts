// The words of the charts.

import { language } from "../../language.ts";

const en = {
  tab: "History",
  title: "The last 24 hours",
  hint: "One sample a minute. A gap is a time when the server was off, or when there was nothing to measure.",
  of: "Of",
  server: "the whole server",
  viewers: "Viewers",
  frameRate: "Frame rate",
  bitrate: "Bit rate",
  latency: "From capture to screen",
  latencyHint: "Brighter: the median of the viewers' medians. Quieter: the 95th percentile of the viewer who saw it the latest.",
  dropped: "Not sent to a viewer, a minute",
  psnr: "PSNR",
  ssim: "SSIM",
  sent: "Sent to viewers",
  refused: "Refused attempts, a minute",
  memory: "Memory",
  now: "Last",
  most: "Highest",
  nothing: "Nothing was measured.",
  table: "As a table, by the hour",
  tableName: "Means by the hour",
  hour: "Hour",
  chart: (name: string, now: string, most: string) => `${name} over 24 hours. Last ${now}, highest ${most}.`,
  at: (time: string) => `at ${time}`,
};

const de: typeof en = {
  tab: "Verlauf",
  title: "Die letzten 24 Stunden",
  hint: "Ein Wert je Minute. Eine Lücke ist eine Zeit, in der der Server nicht lief oder es nichts zu messen gab.",
  of: "Von",
  server: "der ganze Server",
  viewers: "Zuschauer",
  frameRate: "Bildrate",
  bitrate: "Bitrate",
  latency: "Von der Aufnahme zum Schirm",
  latencyHint: "Heller: der Median der Mediane der Zuschauer. Leiser: das 95. Perzentil dessen, der es am spätesten sah.",
  dropped: "Einem Zuschauer nicht gesendet, je Minute",
  psnr: "PSNR",
  ssim: "SSIM",
  sent: "An Zuschauer gesendet",
  refused: "Abgewiesene Versuche, je Minute",
  memory: "Speicher",
  now: "Zuletzt",
  most: "Höchstens",
  nothing: "Nichts wurde gemessen.",
  table: "Als Tabelle, nach Stunden",
  tableName: "Mittelwerte nach Stunden",
  hour: "Stunde",
  chart: (name, now, most) => `${name} über 24 Stunden. Zuletzt ${now}, höchstens ${most}.`,
  at: (time) => `um ${time}`,
};

export const historyWords = { en, de }[language];
