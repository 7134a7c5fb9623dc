/** Features that the host sets. NVMe 1.4, 5.21.1. */

/** Kelvin: what SMART says, and from where on it is too warm. */
export const TEMPERATURE = 323;
const TOO_WARM = 343;

/** Arbitration's low bits: the power of two of commands that one queue has before the next one; 7 leaves it to the controller. */
const BURST = 7;

/** What the host has set. */
export class Features {
  arbitration = BURST;
  overTemperature = TOO_WARM;
  underTemperature = 0;
  writeCache = 1;
  events = 0;

  /** Commands of one queue before the next one's: one, where that is the controller's to say. */
  get burst(): number {
    const power = this.arbitration & BURST;
    return power === BURST ? 1 : 2 ** power;
  }

  get state(): readonly number[] {
    return [this.arbitration, this.overTemperature, this.underTemperature, this.writeCache, this.events];
  }

  reset(): void {
    Object.assign(this, new Features());
  }
}

/** The bit of SMART's critical warnings, and of the events about them. */
export const SMART_TEMPERATURE = 2;

export function isTooWarm({ overTemperature, underTemperature }: Features): boolean {
  return TEMPERATURE >= overTemperature || TEMPERATURE <= underTemperature;
}
