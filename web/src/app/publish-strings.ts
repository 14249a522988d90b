// The words of the page of this device's camera.

import { language, type Language } from "../language.ts";

const en = {
  title: (stream: string): string => `Camera ${stream}`,
  anyCamera: "This device's camera",
  nth: (n: number): string => `Camera ${n}`,
  preview: "Preview of this device's camera",
  absent: "The picture of your camera appears here.",
  start: "Start",
  stop: "Stop",
  resolution: "Resolution",
  sent: "Sent",
  picture: "Picture",
  encoded: "Encoded after",
  skipped: "Skipped",
  watchAt: "Watch it at",
  copy: "Copy link",
  copied: "Copied",
  notAllowed: "Not allowed",
  badName: (stream: string, problem: string): string => `No camera can be called "${stream}". ${problem}`,
  gone: "The camera was unplugged, or your browser or another program took it. Press Try again.",
  broken: "The part of this page that sends pictures did not run. Reload the page.",
};

const de: typeof en = {
  title: (stream) => `Kamera ${stream}`,
  anyCamera: "Kamera dieses Geräts",
  nth: (n) => `Kamera ${n}`,
  preview: "Vorschau der Kamera dieses Geräts",
  absent: "Hier erscheint das Bild Ihrer Kamera.",
  start: "Start",
  stop: "Stopp",
  resolution: "Auflösung",
  sent: "Gesendet",
  picture: "Bild",
  encoded: "Kodiert nach",
  skipped: "Ausgelassen",
  watchAt: "Zu sehen unter",
  copy: "Link kopieren",
  copied: "Kopiert",
  notAllowed: "Nicht erlaubt",
  badName: (stream, problem) => `Keine Kamera kann „${stream}“ heißen. ${problem}`,
  gone: "Die Kamera wurde abgezogen, oder Ihr Browser oder ein anderes Programm hat sie genommen. Drücken Sie Noch einmal.",
  broken: "Der Teil dieser Seite, der Bilder sendet, lief nicht an. Bitte die Seite neu laden.",
};

export const words = ({ en, de } satisfies Record<Language, typeof en>)[language];
