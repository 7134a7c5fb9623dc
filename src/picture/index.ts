/** Pictures of windows: one model, and writers for it. Nothing here needs Node. */
export { planPicture, planTitle } from "./from-plan.ts";
export { TraceWindows } from "./from-trace.ts";
export type { Frame, Growth, GrowthColumn } from "./growth.ts";
export { growthSvg } from "./growth-svg.ts";
export { growthText } from "./growth-text.ts";
export { growthHtml, pictureHtml } from "./html.ts";
export { growthToJson, pictureToJson } from "./json.ts";
export {
  type Picture,
  type PictureRange,
  type PictureRegion,
  type RangeKind,
  type Reach,
  type WindowFacts,
  type WindowPicture,
  windowPicture,
} from "./picture.ts";
export { axisFor, framesOf, pictureAt, type Survey, surveyOf } from "./survey.ts";
export { pictureSvg } from "./svg.ts";
export { pictureText, type TextOptions } from "./text.ts";
export { plainText } from "./words.ts";
