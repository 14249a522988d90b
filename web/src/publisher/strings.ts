// What is said of a camera that a page publishes, in each language with the same keys.

import { language, type Language } from "../language.ts";

const en = {
  asking: "Asking for the camera",
  askingDetail: "Your browser may ask whether this page can use the camera. Allow it to go on.",
  noCamera: "No camera",
  notSending: "Not sending",
  notSendingDetail: "Only you see this picture. Press Start to let others watch it.",
  connecting: "Connecting",
  taken: "Taken",
  takenDetail: "Another publisher has this stream. This page takes over when it stops.",
  notAllowed: "Not allowed",
  notAvailable: "Not available",
  noPictures: "No pictures",
  noPicturesDetail: "The camera sends no pictures. Bring this page to the front, and see that no other program has the camera.",
  waiting: "Waiting for viewers",
  waitingDetail: "Nobody watches, so nothing is sent.",
  live: "Live",
  seen: (viewers: number): string =>
    viewers === 0 ? "Others can see this picture." : viewers === 1 ? "1 viewer sees this picture." : `${viewers} viewers see this picture.`,

  loginEnded: "Your login has ended. Log in again to go on.",
  sessionEnded: "This session was ended, by you on another page or by the operator. Reload the page to start again.",
  restarting: "The server is restarting.",
  brokeRule: (why: string): string => `The connection broke a rule (${why}). It is tried again.`,
  code: (code: number): string => `code ${code}`,
  tooSlow: "The connection was too slow to answer. It is tried again.",
  connectionLost: "The connection to the server was lost. It is tried again.",

  cameraForbidden: "This page may not use the camera. Click the sign beside the address, allow the camera for this site, then press Try again.",
  cameraMissing: "No camera was found on this device. Connect one, then press Try again.",
  cameraBusy: "The camera does not start. Close other programs that use it, then press Try again.",
  cameraGone: "This camera is gone or cannot give that picture. Choose another, then press Try again.",
  noCameras: "This browser gives pages no camera here. Open this page over https in a current browser.",
  cameraError: (error: string): string => `The browser gives no picture of the camera (${error}). Press Try again.`,
};

const de: typeof en = {
  asking: "Frage nach der Kamera",
  askingDetail: "Ihr Browser fragt vielleicht, ob diese Seite die Kamera nutzen darf. Erlauben Sie es, dann geht es weiter.",
  noCamera: "Keine Kamera",
  notSending: "Sendet nicht",
  notSendingDetail: "Nur Sie sehen dieses Bild. Drücken Sie Start, damit andere es sehen können.",
  connecting: "Verbinde",
  taken: "Belegt",
  takenDetail: "Jemand anders sendet diesen Stream. Diese Seite übernimmt, wenn er aufhört.",
  notAllowed: "Nicht erlaubt",
  notAvailable: "Nicht verfügbar",
  noPictures: "Keine Bilder",
  noPicturesDetail: "Die Kamera liefert keine Bilder. Holen Sie diese Seite nach vorn, und sehen Sie nach, ob ein anderes Programm die Kamera hat.",
  waiting: "Wartet auf Zuschauer",
  waitingDetail: "Niemand sieht zu, also wird nichts gesendet.",
  live: "Live",
  seen: (viewers) => (viewers === 0 ? "Andere können dieses Bild sehen." : viewers === 1 ? "1 Zuschauer sieht dieses Bild." : `${viewers} Zuschauer sehen dieses Bild.`),

  loginEnded: "Ihre Anmeldung ist zu Ende. Melden Sie sich neu an, dann geht es weiter.",
  sessionEnded: "Diese Sitzung wurde beendet, von Ihnen auf einer anderen Seite oder vom Betreiber. Laden Sie die Seite neu, um wieder anzufangen.",
  restarting: "Der Server startet neu.",
  brokeRule: (why) => `Die Verbindung hat eine Regel verletzt (${why}). Sie wird neu versucht.`,
  code: (code) => `Code ${code}`,
  tooSlow: "Die Verbindung hat zu langsam geantwortet. Sie wird neu versucht.",
  connectionLost: "Die Verbindung zum Server ging verloren. Sie wird neu versucht.",

  cameraForbidden: "Diese Seite darf die Kamera nicht nutzen. Klicken Sie auf das Zeichen neben der Adresse, erlauben Sie die Kamera für diese Seite, und drücken Sie Noch einmal.",
  cameraMissing: "An diesem Gerät wurde keine Kamera gefunden. Schließen Sie eine an, und drücken Sie Noch einmal.",
  cameraBusy: "Die Kamera startet nicht. Schließen Sie andere Programme, die sie nutzen, und drücken Sie Noch einmal.",
  cameraGone: "Diese Kamera ist weg oder kann dieses Bild nicht liefern. Wählen Sie eine andere, und drücken Sie Noch einmal.",
  noCameras: "Dieser Browser gibt Seiten hier keine Kamera. Öffnen Sie diese Seite über https in einem aktuellen Browser.",
  cameraError: (error) => `Der Browser liefert kein Bild der Kamera (${error}). Drücken Sie Noch einmal.`,
};

export const t = ({ en, de } satisfies Record<Language, typeof en>)[language];
