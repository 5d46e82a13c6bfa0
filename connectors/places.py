"""Codes of countries and of American states by their names: people are matched by codes, and events hold both.

Countries go by their English names, and a few by those they have at home. A name is compared by its letters alone, so
that accents, case, dots and "the" make no difference.
"""

from __future__ import annotations

import unicodedata

# ISO 3166-1: code of two letters, code of three, and the names it goes by.
COUNTRIES = """
AD AND Andorra; AE ARE United Arab Emirates/Emirates/UAE; AF AFG Afghanistan; AG ATG Antigua and Barbuda; AI AIA
Anguilla; AL ALB Albania; AM ARM Armenia; AO AGO Angola; AQ ATA Antarctica; AR ARG Argentina; AS ASM American
Samoa; AT AUT Austria/Österreich; AU AUS Australia; AW ABW Aruba; AX ALA Åland Islands; AZ AZE Azerbaijan; BA BIH
Bosnia and Herzegovina; BB BRB Barbados; BD BGD Bangladesh; BE BEL Belgium/België/Belgique/Belgien; BF BFA Burkina
Faso; BG BGR Bulgaria; BH BHR Bahrain; BI BDI Burundi; BJ BEN Benin; BL BLM Saint Barthélemy; BM BMU Bermuda; BN
BRN Brunei/Brunei Darussalam; BO BOL Bolivia/Plurinational State of Bolivia; BQ BES Caribbean Netherlands; BR BRA
Brazil/Brasil; BS BHS Bahamas; BT BTN Bhutan; BV BVT Bouvet Island; BW BWA Botswana; BY BLR Belarus; BZ BLZ Belize;
CA CAN Canada; CC CCK Cocos (Keeling) Islands; CD COD Congo - Kinshasa/Democratic Republic of the Congo/Congo
Kinshasa; CF CAF Central African Republic; CG COG Congo - Brazzaville/Congo/Republic of the Congo; CH CHE
Switzerland/Schweiz/Suisse/Svizzera; CI CIV Côte d'Ivoire/Ivory Coast; CK COK Cook Islands; CL CHL Chile; CM CMR
Cameroon; CN CHN China/People's Republic of China; CO COL Colombia; CR CRI Costa Rica; CU CUB Cuba; CV CPV Cape
Verde/Cabo Verde; CW CUW Curaçao; CX CXR Christmas Island; CY CYP Cyprus; CZ CZE Czechia/Czech Republic/Česko; DE
DEU Germany/Deutschland; DJ DJI Djibouti; DK DNK Denmark/Danmark; DM DMA Dominica; DO DOM Dominican Republic; DZ
DZA Algeria; EC ECU Ecuador; EE EST Estonia; EG EGY Egypt; EH ESH Western Sahara; ER ERI Eritrea; ES ESP
Spain/España; ET ETH Ethiopia; FI FIN Finland/Suomi; FJ FJI Fiji; FK FLK Falkland Islands; FM FSM
Micronesia/Federated States of Micronesia; FO FRO Faroe Islands; FR FRA France; GA GAB Gabon; GB GBR United
Kingdom/Great Britain/Britain/England/Scotland/Wales/Northern Ireland/UK; GD GRD Grenada; GE GEO Georgia; GF GUF
French Guiana; GG GGY Guernsey; GH GHA Ghana; GI GIB Gibraltar; GL GRL Greenland; GM GMB Gambia; GN GIN Guinea; GP
GLP Guadeloupe; GQ GNQ Equatorial Guinea; GR GRC Greece; GS SGS South Georgia and South Sandwich Islands; GT GTM
Guatemala; GU GUM Guam; GW GNB Guinea-Bissau; GY GUY Guyana; HK HKG Hong Kong; HM HMD Heard and McDonald Islands;
HN HND Honduras; HR HRV Croatia; HT HTI Haiti; HU HUN Hungary; ID IDN Indonesia; IE IRL Ireland; IL ISR Israel; IM
IMN Isle of Man; IN IND India; IO IOT British Indian Ocean Territory; IQ IRQ Iraq; IR IRN Iran/Islamic Republic of
Iran; IS ISL Iceland; IT ITA Italy/Italia; JE JEY Jersey; JM JAM Jamaica; JO JOR Jordan; JP JPN Japan; KE KEN
Kenya; KG KGZ Kyrgyzstan; KH KHM Cambodia; KI KIR Kiribati; KM COM Comoros; KN KNA Saint Kitts and Nevis; KP PRK
North Korea/Democratic People's Republic of Korea; KR KOR South Korea/Korea/Republic of Korea; KW KWT Kuwait; KY
CYM Cayman Islands; KZ KAZ Kazakhstan; LA LAO Laos/Lao People's Democratic Republic; LB LBN Lebanon; LC LCA Saint
Lucia; LI LIE Liechtenstein; LK LKA Sri Lanka; LR LBR Liberia; LS LSO Lesotho; LT LTU Lithuania; LU LUX Luxembourg;
LV LVA Latvia; LY LBY Libya; MA MAR Morocco; MC MCO Monaco; MD MDA Moldova/Republic of Moldova; ME MNE Montenegro;
MF MAF Saint Martin; MG MDG Madagascar; MH MHL Marshall Islands; MK MKD North Macedonia/Macedonia; ML MLI Mali; MM
MMR Myanmar/Burma; MN MNG Mongolia; MO MAC Macao/Macau; MP MNP Northern Mariana Islands; MQ MTQ Martinique; MR MRT
Mauritania; MS MSR Montserrat; MT MLT Malta; MU MUS Mauritius; MV MDV Maldives; MW MWI Malawi; MX MEX Mexico; MY
MYS Malaysia; MZ MOZ Mozambique; NA NAM Namibia; NC NCL New Caledonia; NE NER Niger; NF NFK Norfolk Island; NG NGA
Nigeria; NI NIC Nicaragua; NL NLD Netherlands/Holland/Nederland; NO NOR Norway/Norge; NP NPL Nepal; NR NRU Nauru;
NU NIU Niue; NZ NZL New Zealand; OM OMN Oman; PA PAN Panama; PE PER Peru; PF PYF French Polynesia; PG PNG Papua New
Guinea; PH PHL Philippines; PK PAK Pakistan; PL POL Poland/Polska; PM SPM Saint Pierre and Miquelon; PN PCN
Pitcairn Islands; PR PRI Puerto Rico; PS PSE Palestinian Territories/Palestine; PT PRT Portugal; PW PLW Palau; PY
PRY Paraguay; QA QAT Qatar; RE REU Réunion; RO ROU Romania; RS SRB Serbia; RU RUS Russia/Russian Federation; RW RWA
Rwanda; SA SAU Saudi Arabia; SB SLB Solomon Islands; SC SYC Seychelles; SD SDN Sudan; SE SWE Sweden/Sverige; SG SGP
Singapore; SH SHN Saint Helena; SI SVN Slovenia; SJ SJM Svalbard and Jan Mayen; SK SVK Slovakia; SL SLE Sierra
Leone; SM SMR San Marino; SN SEN Senegal; SO SOM Somalia; SR SUR Suriname; SS SSD South Sudan; ST STP São Tomé and
Príncipe; SV SLV El Salvador; SX SXM Sint Maarten; SY SYR Syria/Syrian Arab Republic; SZ SWZ Eswatini/Swaziland; TC
TCA Turks and Caicos Islands; TD TCD Chad; TF ATF French Southern Territories; TG TGO Togo; TH THA Thailand; TJ TJK
Tajikistan; TK TKL Tokelau; TL TLS Timor-Leste/East Timor; TM TKM Turkmenistan; TN TUN Tunisia; TO TON Tonga; TR
TUR Türkiye/Turkey; TT TTO Trinidad and Tobago; TV TUV Tuvalu; TW TWN Taiwan/Taiwan, Province of China; TZ TZA
Tanzania/United Republic of Tanzania; UA UKR Ukraine; UG UGA Uganda; UM UMI U.S. Outlying Islands; US USA United
States/United States of America/America; UY URY Uruguay; UZ UZB Uzbekistan; VA VAT Vatican City/Holy See; VC VCT
Saint Vincent and Grenadines; VE VEN Venezuela/Bolivarian Republic of Venezuela; VG VGB British Virgin Islands; VI
VIR U.S. Virgin Islands/Virgin Islands, US; VN VNM Vietnam/Viet Nam; VU VUT Vanuatu; WF WLF Wallis and Futuna; WS
WSM Samoa; YE YEM Yemen; YT MYT Mayotte; ZA ZAF South Africa; ZM ZMB Zambia; ZW ZWE Zimbabwe
"""
# The states, territories and military mail of the USA.
STATES = """
AL Alabama; AK Alaska; AZ Arizona; AR Arkansas; CA California; CO Colorado; CT Connecticut; DE Delaware; DC
District of Columbia/Washington DC; FL Florida; GA Georgia; HI Hawaii; ID Idaho; IL Illinois; IN Indiana; IA Iowa;
KS Kansas; KY Kentucky; LA Louisiana; ME Maine; MD Maryland; MA Massachusetts; MI Michigan; MN Minnesota; MS
Mississippi; MO Missouri; MT Montana; NE Nebraska; NV Nevada; NH New Hampshire; NJ New Jersey; NM New Mexico; NY
New York; NC North Carolina; ND North Dakota; OH Ohio; OK Oklahoma; OR Oregon; PA Pennsylvania; RI Rhode Island; SC
South Carolina; SD South Dakota; TN Tennessee; TX Texas; UT Utah; VT Vermont; VA Virginia; WA Washington; WV West
Virginia; WI Wisconsin; WY Wyoming; PR Puerto Rico; GU Guam; VI US Virgin Islands; AS American Samoa; MP Northern
Mariana Islands; AA Armed Forces Americas; AE Armed Forces Europe; AP Armed Forces Pacific
"""
SMALL_WORDS = frozenset({"and", "of", "the"})
LONG_WORDS = {"st": "saint"}


def folded(name: str) -> str:
    """Give the letters of a name, without accents, case and small words."""
    plain = unicodedata.normalize("NFKD", name.replace("&", " and ").lower())
    words = "".join(
        char if char.isalpha() else "" if unicodedata.combining(char) or char in ".'’" else " " for char in plain
    )
    return "".join(LONG_WORDS.get(word, word) for word in words.split() if word not in SMALL_WORDS)


def _read(table: str, code_count: int) -> dict[str, str]:
    """Give the first code of each entry by its codes, of which there are so many, and its names."""
    found: dict[str, str] = {}
    for entry in " ".join(table.split()).split("; "):
        *codes, names = entry.lower().split(" ", code_count)
        found |= dict.fromkeys([*codes, *map(folded, names.split("/"))], codes[0])
    return found


CODES_OF_COUNTRIES, CODES_OF_STATES = _read(COUNTRIES, 2), _read(STATES, 1)


def country_code(name: str) -> str:
    """Give the code of two letters, in lower case, of a country's name or code; nothing where it is none."""
    return CODES_OF_COUNTRIES.get(name.strip().lower()) or CODES_OF_COUNTRIES.get(folded(name), "")


def state_code(name: str) -> str:
    """Give the code of two letters, in lower case, of an American state's name or code; nothing where it is none."""
    text = name.strip().lower()
    return CODES_OF_STATES.get(folded(text.removeprefix("us-")), "")
