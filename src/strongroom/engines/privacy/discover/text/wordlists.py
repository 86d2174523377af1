"""Words that tell names from other capitals: titles, cues before a name, and plain words."""
# ruff: noqa: E501 # a pattern or list broken over lines cannot be read

TITLES = (
    "Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Doctor|Sir|Lady|Dame|Rev|Reverend|Fr|Sister|Nurse|RN|Officer|Detective"
    "|Sgt|Sergeant|Capt|Captain|Col|Lt|Judge|Justice|Hon|Atty|Attorney|Rabbi|Imam|Senator|President|Uncle|Aunt|Auntie"
    "|Herrn|Herr|Frau|Fraulein|Monsieur|Madame|Mme|Mlle|M\\.|Docteur|Maitre|Senor|Senora|Sr|Sra|Srta|Don|Dona|Doctora"
    "|Signor|Signora|Sig|Dott|Dottor|Dottoressa|Dottssa|Avv|Ing|Meneer|Mevrouw|Mevr|Dhr|Mw|Drs|Senhor|Senhora|Doutor|Doutora"
)
# Words that come right before a name, mostly with a colon.
LABELS = (
    "patient(?: name)?|pt|name|full name|first name|last name|surname|given name|family name|nombre|nom|nome|naam|vorname|nachname"
    "|prenom|apellidos?|cognome|achternaam|client|customer|employee|applicant|tenant|landlord|plaintiff|defendant|petitioner"
    "|respondent|claimant|witness|signed|signature|signed by|attending(?: physician)?|physician|provider|surgeon|doctor|nurse"
    "|author|from|to|cc|bcc|attn|attention|contact(?: person)?|emergency contact|next of kin|spouse|wife|husband|mother|father"
    "|son|daughter|brother|sister|guardian|beneficiary|account holder|cardholder(?: name)?|insured|policy ?holder|subscriber|user"
    "|username|owner|assignee|assigned to|reporter|reported by|requested by|approved by|prepared by|reviewed by|manager"
    "|supervisor|interviewer|interviewee|attendees?|participants?|recipient|sender|bill to|ship to|sold to|deponent|counsel(?: for)?"
    "|judge|notary|deposition of|examination by|estate of|kunde|patientin|paziente|paciente|cliente|klant|on-call|backup|speaker|student|teacher"
)
GREETINGS = (
    "Dear|Hi|Hello|Hey|Greetings|Hallo|Liebe[r]?|Sehr geehrte[rs]?|Bonjour|Cher|Chere|Estimad[oa]|Hola|Querid[oa]|Caro|Cara|Ciao"
    "|Gentile|Buongiorno|Geachte|Beste|Prezad[oa]|Car[oa]|Ola|Thanks|Thank you|Thx|Cheers|Regards|Best regards|Kind regards"
    "|Warm regards|Sincerely|Best wishes|Best|Yours truly|Yours sincerely|Respectfully(?: submitted)?|Mit freundlichen Grussen"
    "|Viele Grusse|Beste Grusse|Cordialement|Bien a vous|Saludos|Atentamente|Cordiali saluti|Distinti saluti"
    "|Met vriendelijke groet|Atenciosamente|Cumprimentos"
)
SAYINGS = (
    "my name is|name is|named|called|this is|i am|i'm|known as|a\\.?k\\.?a\\.?|ich heisse|mein name ist|je m'appelle|me llamo"
    "|mi nombre es|mi chiamo|mijn naam is|ik heet|meu nome e|me chamo|born to|married to|contact|ask for|speak to|spoke with"
    "|spoke to|talked to|met with|signed by|written by|prepared by|approved by|reported by|assigned to|referred by|seen by"
    "|accompanied by|on behalf of|between|i,|patient|account holder|customer|client|employee|belongs to|by"
)

# Words often written with a capital that are no part of a person's name.
PLAIN = frozenset(
    """
    a about above account accounts act action active add address admin admission admitted after again age agreement air alert
    all allergies also am amount an analysis and annual answer any api app application applied appointment approved april are
    area as ask assessment assigned at attached attending attn auto august authorization ave avenue bank bar based because been
    before bell below best between bill billing birth board both box branch building business but by call can card care case cc
    cell center central certified chart check chief child christmas city claim class client clinic clinical clinician close code
    college comments communication community company complaint complete computer condition conference confidential contact
    continue contract copy corp corporation cost could council counsel count country county court cover created credit critical
    current customer daily data database date day days dear december defendant dentist department deposition description desk
    details device diabetes diagnosis did digital director discharge disease district division do doctor document does done dose
    down dr drive due during each east education effective else email emergency employee employer encounter end energy engineer
    english enterprise error escalation estate evaluation event every evidence exam examination exhibit expected experience
    external facility family father fax february federal fee field file filed final finance findings first fiscal flu follow
    following follow-up for form found free friday friend from full further game general get given global go good got government
    great group had has have he head health hearing heart hello help her here hereby hi high him his history holiday home hon
    hospital hotel hour house how however human hypertension i if immediately impression in inc include included incident
    independence index information initial inquiry insurance internal international internet interview into invoice is issue it
    item its january job july june just justice key know known lab labs lake land language last law learning led left legal let
    letter level license life like limited line link list live local location log login long look lot loss love ltd lunch made
    mail main maintenance major make male man manager march mark market marketing master matter may me medical medication
    medications medicine meeting member memo mental merry message middle minutes miss mobile monday month monthly more morning
    most mother motion mr mrs ms much mutual my name national need network new news next night no none nor north not note notes
    notice november now number nurse nursing october of off offer office officer old on once one online only open operation
    operations option or order organization other our out outpatient over own page pain park part partner party password past
    patient pay payment pending people per person personal phone physical physician place plaintiff plan platform please police
    policy portal position post power practice present press price primary prior privacy private problem procedure process
    product professional profile program project property protected provided provider public purchase quality quarter question
    questions quick rate re read ready real reason received record records red reference referral regarding regards region
    registered release remote report request required research response rest result results return review right risk road role
    room rx said sales same saturday say school science second section security see self send senior sent september server
    service services session shall she sheet shift should show sign signed since sincerely site so social software some son
    source south special specialist staff standard start started state statement states station status still stock stop street
    student study subject submitted summary summer sunday supervisor support sure surgery system systems take tax team tech
    technical technology tel term terms test testing than thank thanks that the their them then there these they thing this
    those though through thursday time title to today together tomorrow tonight took top total town training transaction
    transfer treatment trial tuesday two type under union unit united university until up update upon urgent us use used user
    username using v valid value version very via view visit vital vitals vs wait want war was watch way we web website wednesday
    week weekly welcome well went were west what when where which while white who whom whose why will winter wire with within
    without witness women work working world would year years yes yesterday yet you young your
    der die das und ist von mit fur auf dem den ein eine einer im zu bei nach aus wir sie ich herr frau strasse datum
    le la les des et est pour dans une un vous nous je monsieur madame rue los las el una para con por que se calle il lo gli
    della nel per che via het een van voor met op te os uma com em rua type ii iii iv vi covid hiv iv po bid tid prn mg ml
    bp hr rr temp ed icu er or ekg mri ct dob mrn ssn npi dea id ok pm usa uk u.s api url http https sql json html
    """.split()  # noqa: SIM905 # a list of words reads better so
)
# Plain words that many people are called nevertheless: they count beside a listed name.
NAMELIKE = frozenset(
    """
    mark will young white price long best page may june april august day major law love church west english power bell bill
    frank grant hope joy summer rose guy man ward cook baker don case court end bank field fields park parks hill banks rich short
    small green brown
    """.split()  # noqa: SIM905 # a list of words reads better so
)
# Those of them that with another such word make a name: "Mark White", but not "May Day".
SURELY_NAMES = frozenset(("mark", "frank", "grant", "rose", "guy", "bill", "joy", "don", "hope"))
COUNTRIES = (
    "United States(?: of America)?|USA|U\\.S\\.A?\\.?|United Kingdom|U\\.K\\.|England|Scotland|Wales|Ireland|France|Germany|Deutschland|Spain|Espana|Italy"
    "|Italia|Portugal|Netherlands|Belgium|Switzerland|Schweiz|Austria|Sweden|Norway|Denmark|Finland|Poland|Russia|Ukraine|Greece|Turkey|Israel"
    "|Egypt|Nigeria|Kenya|South Africa|India|Pakistan|Bangladesh|China|Japan|South Korea|North Korea|Thailand|Vietnam|Indonesia|Malaysia"
    "|Singapore|Philippines|Australia|New Zealand|Canada|Mexico|Brazil|Brasil|Argentina|Colombia|Peru|Cuba|Haiti|Iran|Iraq|Syria|Afghanistan"
    "|Saudi Arabia|Czech Republic|Slovakia|Slovenia|Hungary|Romania|Bulgaria|Croatia|Serbia|Latvia|Lithuania|Estonia|Iceland|Luxembourg"
    "|Morocco|Algeria|Tunisia|Ethiopia|Ghana|Uganda|Tanzania|Zimbabwe|Venezuela|Ecuador|Bolivia|Uruguay|Paraguay|Costa Rica|Panama"
    "|Guatemala|Honduras|Nicaragua|Jamaica|Sri Lanka|Nepal|Lebanon|Kuwait|Qatar|Yemen|Libya|Sudan|Somalia|Hong Kong|Taiwan"
)
ORGANIZATION_ENDS = (
    "Inc|Incorporated|LLC|L\\.L\\.C|LLP|LP|Ltd|Limited|Corp|Corporation|Company|Co|PLC|plc|GmbH|AG|KG|OHG|UG|e\\.V|SE|SA|S\\.A|SAS|SARL|S\\.A\\.S|SL|S\\.L|SpA|S\\.p\\.A|Srl"
    "|S\\.r\\.l|BV|B\\.V|NV|N\\.V|AB|ASA|Oy|ApS|Pty|Ltda|Holdings?|Group|Industries|Enterprises|Technologies|Technology|Tech|Systems|Solutions"
    "|Partners|Associates|Consulting|Ventures|Capital|Labs|Laboratories|Pharmaceuticals|Pharma|Therapeutics|Insurance|Bank|Bancorp|Airlines"
    "|Airways|Motors|Foods|Energy|Logistics|Software|Networks|Communications|Dynamics|Robotics|Analytics|Foundation|Institute|Instituto|Institut"
    "|University|Universitat|Universite|Universidad|College|Academy|School|Hospital|Clinic|Klinik|Klinikum|Krankenhaus|Medical Center|Medical Centre"
    "|Health Center|Health System|Healthcare|Health|Medical Group|Pharmacy|Apotheke|Clinica|Hopital|Ziekenhuis|Ministry|Council|Department|Society"
    "|Association|Federation|Committee|Agency|Authority|Commission|Trust|Church|Museum|Library|Science|Sciences|Studios?|Media|Press|Records"
    "|Entertainment|Electronics|Semiconductor|Aerospace|Biotech|Stores?|Hotels?|Realty|Properties|Law Firm|Law Offices|Services"
)
